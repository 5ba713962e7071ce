import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { DESKTOP, PHONE } from '../support/browser.js';
import { assertAccessible, assertFitsWidth } from '../support/checks.js';
import { tabTo } from '../support/keyboard.js';
import { waitForHeading, waitForText, waitUntil } from '../support/page.js';
import { useSite } from '../support/site.js';

const site = useSite();
const NARROW = { width: 320, height: 640 };

const button = (page, name) => page.getByRole('button', { name, exact: true });
const editor = (page) => page.getByLabel('Message (JSON)');
const table = (page, name) => page.getByRole('table', { name, exact: true });
const list = () => site.store.get('/api/activities?limit=100').then(({ activities }) => activities);

async function openActivities(options) {
  const page = await site.openPage('/activities', options);
  await waitForHeading(page, 'Activities');
  return page;
}

function insert(name, columns) {
  const names = Object.keys(columns);
  return {
    operation: 'insert',
    table: name,
    col_names: names,
    col_types: names.map((column) => columns[column][0]),
    col_values: names.map((column) => columns[column][1]),
  };
}

function deletion(name, column, type, value) {
  return {
    operation: 'delete',
    table: name,
    value_to_delete: { col_names: [column], col_types: [type], col_values: [value] },
  };
}

/** Waits until the page accepts the click: for a moment after each action it ignores clicks. */
async function send(page, ...activities) {
  await editor(page).fill(JSON.stringify({ activities }, null, 2));
  const answer = page.waitForResponse(
    (response) => response.request().method() === 'POST' && response.url().endsWith('/activities'),
  );
  const clicks = setInterval(
    () =>
      button(page, 'Send')
        .click()
        .catch(() => {}),
    300,
  );
  try {
    return await (await answer).json();
  } finally {
    clearInterval(clicks);
  }
}

async function sendAndApply(page, ...activities) {
  const { id } = await send(page, ...activities);
  await page.getByText(/^Applied after .*: all of it has taken effect/).waitFor();
  return id;
}

async function sendAndReject(page, ...activities) {
  const { id } = await send(page, ...activities);
  await page.getByText(/^Rejected: none of it has taken effect/).waitFor();
  return id;
}

/** The message's own row, not those of messages that it links to. */
function row(page, id) {
  const header = page.getByRole('rowheader').filter({ hasText: id.slice(-8) });
  return table(page, 'Recent messages').getByRole('row').filter({ has: header });
}

test('a message is followed from queued to applied, and its row appears', async () => {
  const page = await openActivities();
  const id = await sendAndApply(
    page,
    insert('shown', { id: ['INTEGER', 1], empty: ['TEXT', ''], none: ['TEXT', null] }),
  );
  await row(page, id).getByText('Applied').waitFor();
  await button(page, 'shown').click();
  const rows = table(page, 'Rows of shown');
  await waitForText(rows.locator('tbody tr'), '1\tempty text\tnull');

  await sendAndApply(page, deletion('shown', 'id', 'INTEGER', 1));
  await page.getByText('The table has no rows here.').waitFor();
});

test('an invalid message is not accepted, and its mistake is selected', async () => {
  const before = await list();
  const page = await openActivities();
  await button(page, 'Invalid').click();
  await button(page, 'Send').click();
  await page.getByRole('alert').filter({ hasText: 'The message is invalid.' }).waitFor();
  await page.getByText(/^Line \d+, selected in the editor\.$/).waitFor();
  const selected = await editor(page).evaluate(({ value, selectionStart, selectionEnd }) =>
    value.slice(selectionStart, selectionEnd),
  );
  assert.notEqual(selected, '');
  await waitUntil(page, () => document.activeElement.tagName === 'TEXTAREA');
  assert.deepEqual(
    (await list()).map(({ id }) => id),
    before.map(({ id }) => id),
  );
});

test('checking shows the plan and queues nothing', async () => {
  const before = (await list()).length;
  const page = await openActivities();
  const message = { activities: [insert('planned', { id: ['INTEGER', 1] })] };
  await editor(page).fill(JSON.stringify(message));
  await button(page, 'Check only').click();
  await page.getByText('Valid, and it would be applied now.').waitFor();
  await page.getByText(/^Creates the table planned with the columns: id INTEGER$/).waitFor();
  assert.equal((await list()).length, before);
});

test('a lost answer queues the message once', async () => {
  const page = await openActivities();
  await page.evaluate(() => {
    Math.random = () => 0.9;
  });
  const keys = [];
  await page.route('**/api/activities', async (route) => {
    if (route.request().method() !== 'POST') return route.continue();
    keys.push(route.request().headers()['idempotency-key']);
    if (keys.length > 2) return route.continue();
    await route.fetch();
    await route.abort();
  });
  const message = { activities: [insert('once', { id: ['INTEGER', 1] })] };
  await editor(page).fill(JSON.stringify(message));
  await button(page, 'Send').click();
  await page.getByText('One moment: the store is not responding.').waitFor();
  await page.getByText(/^Applied after/).waitFor();
  assert.deepEqual(keys, [keys[0], keys[0], keys[0]]);
  const { rows } = await site.store.get('/api/activities/rows?table=once');
  assert.deepEqual(rows, [{ id: 1 }]);
});

test('a rejected message is retried when its cause is gone, another is discarded', async () => {
  const page = await openActivities();
  const first = await sendAndReject(page, deletion('later', 'id', 'INTEGER', 1));
  const second = await sendAndReject(page, deletion('later', 'id', 'INTEGER', 2));
  await sendAndApply(page, insert('later', { id: ['INTEGER', 1] }));

  await page.getByRole('radio', { name: 'Rejected' }).check();
  await row(page, first)
    .getByRole('button', { name: /^Retry/ })
    .click();
  await page.getByText(/ was queued again as /).waitFor();
  await row(page, first).getByRole('link', { name: /^…/ }).click();
  const details = page.getByRole('region', { name: /^Message / });
  await details.getByText(/^Applied after/).waitFor();
  await details.getByText('It repeats the rejected message').waitFor();

  await row(page, second)
    .getByRole('button', { name: /^Discard/ })
    .click();
  await page.getByRole('button', { name: /^Yes, discard/ }).click();
  await page.getByText(/ was discarded\.$/).waitFor();
  await row(page, second).waitFor({ state: 'hidden' });
});

test('all messages of one cause are retried together', async () => {
  const page = await openActivities();
  for (const value of [1, 2]) {
    await sendAndReject(page, deletion('together', 'id', 'INTEGER', value));
  }
  const cause = table(page, 'Rejections by cause').getByRole('row').filter({ hasText: 'together' });
  await cause.getByRole('cell', { name: '2', exact: true }).waitFor();
  await sendAndApply(page, insert('together', { id: ['INTEGER', 1] }));
  await cause.getByRole('button', { name: /^Retry all/ }).click();
  await page.getByText('2 messages were queued again.').waitFor();
  await cause.waitFor({ state: 'hidden' });
});

test('a table is dropped after a confirmation', async () => {
  const page = await openActivities();
  await sendAndApply(page, insert('dropped', { id: ['INTEGER', 1] }));
  await button(page, 'dropped').click();
  await button(page, 'Drop table').click();
  await page.getByText('Drop “dropped” with 1 row?').waitFor();
  await button(page, 'Keep table').click();
  await button(page, 'Drop table').click();
  await button(page, 'Yes, drop it').click();
  await page.getByText('“dropped” is dropped once all messages before this are applied.').waitFor();
  await button(page, 'dropped').waitFor({ state: 'hidden' });
});

test('the whole page can be used with the keyboard alone', async () => {
  const page = await openActivities();
  await tabTo(page, /^Rejected later$/);
  await page.keyboard.press('Enter');
  await tabTo(page, /^Send$/);
  await page.keyboard.press('Enter');
  await page.getByText(/^Rejected: none of it has taken effect/).waitFor();
  await page
    .getByRole('button', { name: /^Retry …/ })
    .first()
    .waitFor();
  await tabTo(page, /^Discard …/);
  await page.keyboard.press('Enter');
  await waitUntil(page, () => /^Yes, discard/.test(document.activeElement.ariaLabel));
  await page.keyboard.press('Enter');
  await page.getByText(/ was discarded\.$/).waitFor();
  await waitUntil(page, () => document.activeElement.id === 'messages-table');
});

test('the page says that the store is away, keeps what it showed, and recovers', async () => {
  const page = await openActivities();
  await sendAndApply(page, insert('kept', { id: ['INTEGER', 1] }));
  await button(page, 'kept').waitFor();
  await site.store.kill();
  await page.getByText(/These figures are from \d\d:\d\d:\d\d\.$/).waitFor();
  await page.getByText(/^Tables may be out of date/).waitFor();
  await button(page, 'kept').waitFor();
  await site.store.restart();
  await page.getByText(/These figures are from/).waitFor({ state: 'hidden' });
  await page.getByText(/^Tables may be out of date/).waitFor({ state: 'hidden' });
});

/** Each state of the page and how to reach it. */
const STATES = {
  'the page as it opens': (page) => table(page, 'Recent messages').waitFor(),
  'an invalid message': async (page) => {
    await button(page, 'Invalid').click();
    await button(page, 'Send').click();
    await page.getByText(/^Line \d+, selected in the editor\.$/).waitFor();
  },
  'a plan': async (page) => {
    await button(page, 'Rejected later').click();
    await button(page, 'Check only').click();
    await page.getByText('Valid, but it would be rejected now.').waitFor();
  },
  'a rejected message and its details': async (page) => {
    await sendAndReject(page, deletion('no such table', 'id', 'INTEGER', 1));
    await table(page, 'Rejections by cause').getByRole('link').first().click();
    await page.getByRole('region', { name: /^Message / }).waitFor();
  },
  'rows and the question whether to drop the table': async (page) => {
    await sendAndApply(page, insert('wide', WIDE));
    await button(page, 'wide').click();
    await table(page, 'Rows of wide').waitFor();
    await button(page, 'Drop table').click();
    await button(page, 'Keep table').waitFor();
  },
};

const WIDE = Object.fromEntries(
  Array.from({ length: 12 }, (_, n) => [`a long column name ${n}`, ['TEXT', 'text '.repeat(20)]]),
);

describe('accessibility', () => {
  for (const [name, reachState] of Object.entries(STATES)) {
    for (const viewport of [DESKTOP, PHONE, NARROW]) {
      test(`${name} at ${viewport.width} px`, async () => {
        const page = await openActivities({ viewport });
        await reachState(page);
        await assertFitsWidth(page);
        await assertAccessible(page);
      });
    }
  }
});

describe('a store without activities', () => {
  const other = useSite(['--services', 'overview,cart']);
  test('says so plainly', async () => {
    const page = await other.openPage('/activities');
    await waitForHeading(page, 'This store has no activities');
    await assertFitsWidth(page);
    await assertAccessible(page);
  });
});
