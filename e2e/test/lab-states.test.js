/** States of the lab's page that a real lab cannot be brought into at will; its numbers are invented. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DESKTOP, PHONE, useBrowser } from '../support/browser.js';
import { assertAccessible, assertFitsWidth } from '../support/checks.js';
import { startFakeLab } from '../support/fakeLab.js';
import { tabTo } from '../support/keyboard.js';
import { assertPainted, pane, row, transactions } from '../support/labPage.js';
import { waitForHeading } from '../support/page.js';

const NARROW = { width: 320, height: 640 };
const BODY = {
  read_pattern: 3,
  write_pattern: 1,
  intensity: 2,
  sql_size: 1,
  sql_rep_size: 2,
  spanner_size: 3,
};

let lab;
/** The ids of runs that have ended, by what is remarkable about them. */
const runs = {};
before(async () => {
  lab = await startFakeLab({ secondMs: 150 });
  const add = (name, createdAt, body = {}, alter = undefined) => {
    const entries = lab.addRun({ ...BODY, ...body }, createdAt, alter);
    runs[name] = entries.map(({ job }) => job.id).join(',');
    return entries;
  };
  for (const entry of add('plain', '2026-01-02T10:00:00Z')) lab.keep(entry);
  const fault = { at: 10, target: 'sqlrep-replica', action: 'pause', seconds: 3 };
  add('fault', '2026-01-02T11:00:00Z', { faults: [fault], intensity: 1 });
  add('broken', '2026-01-02T12:00:00Z', { intensity: 3 }, (job) => {
    if (job.target === 'sql') Object.assign(job, { state: 'failed', why: 'connection refused' });
    if (job.target === 'spanner') Object.assign(job, { valid: false, why: 'The driver was late.' });
  });
});
after(() => lab?.stop());
const browser = useBrowser();
const open = (path, options) => browser.open(`${lab.origin}${path}`, options);

/** Each state of the page: its path and how to reach it. */
const STATES = {
  'the form, the history and cached runs': [
    () => '/',
    (page) => page.getByRole('table', { name: 'Cached runs' }).waitFor(),
  ],
  'the form with a fault and a mistake': [
    () => '/',
    async (page) => {
      await page.getByRole('checkbox', { name: /^Let a server fail/ }).check();
      await page.getByLabel('In second').fill('90');
      await page.getByRole('button', { name: 'Start the run' }).click();
      await page.getByText(/^The fault must begin/).waitFor();
    },
  ],
  'a run with a fault and an open table': [
    () => `/run/${runs.fault}`,
    async (page) => {
      await pane(page, 'SQL with read replica')
        .getByText(/paused in second 10/)
        .waitFor();
      await transactions(page, 'SQL with read replica', 'Mean time');
    },
  ],
  'a failed database and an invalid run': [
    () => `/run/${runs.broken}`,
    async (page) => {
      await page.getByText('connection refused').waitFor();
      await pane(page, 'Distributed').getByText('Not valid').waitFor();
    },
  ],
  'a comparison': [
    () => `/compare/${runs.plain}/${runs.fault}`,
    (page) => pane(page, 'Distributed').getByText('B / A').waitFor(),
  ],
  'a replay of which one database is missing': [
    () => '/replay/sql-1-2,sqlrep-3-2/3-1',
    (page) => page.getByText('No cached run', { exact: true }).waitFor(),
  ],
  'an unknown run': [() => '/run/gone', (page) => waitForHeading(page, 'This could not be loaded')],
  'an unknown page': [() => '/portal', (page) => waitForHeading(page, 'Page not found')],
};

describe('accessibility', () => {
  for (const [name, [path, reachState]] of Object.entries(STATES)) {
    for (const viewport of [DESKTOP, PHONE, NARROW]) {
      for (const colorScheme of ['light', 'dark']) {
        test(`${name} at ${viewport.width} px, ${colorScheme}`, async () => {
          const page = await open(path(), { viewport, colorScheme });
          await reachState(page);
          await assertFitsWidth(page);
          await assertAccessible(page);
        });
      }
    }
  }
});

async function startRun(page) {
  await page.getByLabel(/^Seconds/).fill('20');
  await page.getByRole('button', { name: 'Start the run' }).click();
  await page.waitForURL('**/run/*');
}

test('after a lost connection the stream continues where it ended', async () => {
  const page = await open('/');
  await startRun(page);
  await pane(page, 'Single SQL')
    .getByText(/^[3-9] of 20 s$/)
    .waitFor();
  const before = lab.continuedAfter.length;
  lab.cutStreams();
  await page.getByText(/^The connection to the lab is interrupted/).waitFor();
  await page.getByText(/^The connection to the lab is interrupted/).waitFor({ state: 'hidden' });
  assert.equal(lab.continuedAfter.length, before + 1);
  await pane(page, 'Single SQL').locator('.badge', { hasText: 'Finished' }).waitFor();
  await row(page, 'Single SQL', 'Offered 2000 2000').waitFor();
  await row(page, 'Single SQL', 'Pending 0 0').waitFor();
  assert.equal((await transactions(page, 'Single SQL', 'Mean time')).length, 20);
});

test('a run is started with the keyboard alone', async () => {
  const page = await open('/');
  await waitForHeading(page, 'Database lab');
  await tabTo(page, /^Start the run$/);
  await page.keyboard.press('Enter');
  await page.waitForURL('**/run/*');
  await tabTo(page, /^Show as a table: Mean time, Single SQL$/);
  await page.keyboard.press('Enter');
  await page.getByRole('table', { name: 'Mean time, Single SQL' }).waitFor();
});

/** The darkest of the backgrounds of the page, of a panel and of the header: 0 to 255. */
function brightness(page) {
  return page.evaluate(() => {
    const of = (selector) => {
      const { backgroundColor } = getComputedStyle(document.querySelector(selector));
      return Math.min(...backgroundColor.match(/\d+/g).slice(0, 3).map(Number));
    };
    return Math.min(...['html', 'body', '.header', '.panel, .pane'].map(of));
  });
}

for (const colorScheme of ['light', 'dark']) {
  test(`the charts are drawn in ${colorScheme} colours and on both axes`, async () => {
    const page = await open(`/run/${runs.plain}`, { colorScheme });
    const sql = pane(page, 'Single SQL');
    await sql.getByText('30 of 30 s').waitFor();
    await assertPainted(sql);
    assert.equal((await brightness(page)) > 128, colorScheme === 'light');
    await page.getByRole('radio', { name: 'Logarithmic' }).check();
    await assertPainted(sql);
  });
}

test('the chosen theme outlives a reload', async () => {
  const page = await open('/', { colorScheme: 'dark' });
  await page.locator('.panel').first().waitFor();
  assert.ok((await brightness(page)) < 128);
  await page.getByLabel('Theme').selectOption('Light');
  assert.ok((await brightness(page)) > 128);
  await page.reload();
  await page.locator('.panel').first().waitFor();
  assert.ok((await brightness(page)) > 128);
});

test('the second under the pointer is shown in every pane', async () => {
  const page = await open(`/run/${runs.plain}`);
  await pane(page, 'Distributed').getByText('30 of 30 s').waitFor();
  const chart = pane(page, 'Single SQL').locator('.plot .u-over').first();
  const { width } = await chart.boundingBox();
  await chart.hover({ position: { x: (width * 12.5) / 30, y: 40 } });
  for (const name of ['Single SQL', 'SQL with read replica', 'Distributed'])
    assert.equal(await pane(page, name).getByText('second 12', { exact: true }).count(), 3);
});
