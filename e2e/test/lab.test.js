import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { DESKTOP, PHONE, useBrowser } from '../support/browser.js';
import { assertAccessible, assertFitsWidth } from '../support/checks.js';
import { assertPainted, collectErrors, pane, row, transactions } from '../support/labPage.js';
import { waitForHeading } from '../support/page.js';
import { startLab } from '../support/storefront.js';

/** The shortest run; each second's window comes a second after it, its final one within five more. */
const SECONDS = 5;
const RUN_TIMEOUT_MS = 60_000;
const NAMES = ['Single SQL', 'SQL with read replica', 'Distributed'];

let lab;
before(async () => {
  lab = await startLab();
});
after(() => lab?.stop());
const browser = useBrowser();

async function openLab(options) {
  const page = await browser.open(`${lab.origin}/`, options);
  await waitForHeading(page, 'Database lab');
  return page;
}

/** Starts a run; while the databases of the run before are being reset, again. */
async function startRun(page, seconds = SECONDS) {
  await page.getByLabel(/^Seconds/).fill(String(seconds));
  const started = page.waitForURL('**/run/*', { timeout: RUN_TIMEOUT_MS });
  const refused = page.getByRole('alert').filter({ hasText: 'Try again in about' });
  let done = false;
  started.then(
    () => {
      done = true;
    },
    () => {},
  );
  while (!done) {
    await page.getByRole('button', { name: 'Start the run' }).click();
    await Promise.race([started, refused.waitFor({ timeout: RUN_TIMEOUT_MS })]);
  }
  await started;
}

/** Waits until a second has been shown of a run that still goes on. */
async function waitForLiveWindow(page) {
  const running = pane(page, NAMES[0]).filter({
    has: page.locator('.badge', { hasText: 'Running' }),
  });
  await running.getByText(/^[1-5] of 5 s$/).waitFor({ timeout: RUN_TIMEOUT_MS });
}

/** Waits until every database of the run has finished. */
async function waitForEnd(page) {
  for (const name of NAMES) {
    const state = pane(page, name).locator('.badge', { hasText: 'Finished' });
    await state.waitFor({ timeout: RUN_TIMEOUT_MS });
  }
}

describe('a run on embedded stand-ins', () => {
  test('is shown live, second by second, and stays in the history', async () => {
    const page = await openLab();
    const errors = collectErrors(page);
    await startRun(page);
    for (const name of NAMES) await pane(page, name).getByText('Stand-in').waitFor();
    await waitForLiveWindow(page);
    await waitForEnd(page);
    const all = 100 * SECONDS;
    for (const name of NAMES) {
      await pane(page, name).getByText(`${SECONDS} of ${SECONDS} s`).waitFor();
      await row(page, name, `Offered ${all} ${all}`).waitFor();
      await row(page, name, 'Pending 0 0').waitFor();
      await assertPainted(pane(page, name));
    }
    await page.getByRole('link', { name: 'All runs' }).click();
    const runs = page.getByRole('table', { name: 'Runs' });
    await runs.getByRole('link').first().click();
    await waitForEnd(page);
    // The address of a run is one of the server's, too.
    await page.reload();
    await waitForEnd(page);
    assert.deepEqual(errors, []);
  });

  test('shows the numbers that its API gives', async () => {
    const page = await openLab();
    await startRun(page);
    await waitForEnd(page);
    const [id] = new URL(page.url()).pathname.split('/').at(-1).split(',');
    const windows = await lab.get(`/jobs/${id}/transactions`);
    assert.deepEqual(
      windows.map(({ second }) => second),
      [...Array(SECONDS).keys()],
    );
    const sum = (name, side) => windows.reduce((all, window) => all + window[side][name], 0);
    for (const [name, field] of [
      ['Succeeded', 'ok'],
      ['Failed', 'failed'],
    ]) {
      const sums = [sum(field, 'read'), sum(field, 'write')];
      await row(page, NAMES[0], [name, ...sums].join(' ')).waitFor();
    }
    const table = await transactions(page, NAMES[0], 'Mean time');
    assert.equal(table.length, SECONDS);
  });

  test('can be kept, and replayed without a database', async () => {
    const page = await openLab();
    await startRun(page);
    await waitForEnd(page);
    await page
      .getByRole('button', { name: /^Keep as cached run/ })
      .first()
      .click();
    await page.getByText('Kept as cached run sql-1-1').waitFor();
    await page.getByRole('link', { name: 'All runs' }).click();
    await page.getByRole('button', { name: 'Replay the cached run' }).click();
    await pane(page, 'Single SQL')
      .getByText(/^Recorded /)
      .waitFor();
    await page.getByRole('button', { name: 'All at once' }).click();
    await row(page, 'Single SQL', `Offered ${100 * SECONDS} ${100 * SECONDS}`).waitFor();
  });

  test('can be stopped', async () => {
    const page = await openLab();
    await startRun(page, 600);
    await page.getByRole('button', { name: 'Stop the run' }).click();
    const stopped = page.locator('.badge', { hasText: 'Stopped' });
    for (const index of [0, 1, 2]) await stopped.nth(index).waitFor({ timeout: RUN_TIMEOUT_MS });
  });

  for (const viewport of [DESKTOP, PHONE]) {
    test(`is accessible and fits at ${viewport.width} px`, async () => {
      const page = await openLab({ viewport });
      await assertFitsWidth(page);
      await assertAccessible(page);
      await startRun(page);
      await waitForLiveWindow(page);
      await assertFitsWidth(page);
      await waitForEnd(page);
      await assertFitsWidth(page);
      await assertAccessible(page);
    });
  }
});
