import { cleanup, fireEvent, screen, waitFor, within } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { accepted, FakeGatekeeper, invalid, json, message, problem } from './fakeGatekeeper';
import { button, showPage } from './testPage';

let gatekeeper: FakeGatekeeper;

beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(0);
  window.scrollTo = () => {};
  window.history.replaceState(null, '', '/activities');
  gatekeeper = new FakeGatekeeper();
});
afterEach(cleanup);

const table = (name: string) => screen.findByRole('table', { name });

/** The texts of a table's cells, row by row, without its head. */
async function cells(name: string) {
  const rows = within(await table(name))
    .getAllByRole('row')
    .slice(1);
  return rows.map((row) => [...row.children].map((cell) => cell.textContent));
}

function addRejected(id: string) {
  gatekeeper.messages.push(message(id, 'rejected'));
}

test('a message shows the end of its id, its state, and why it was rejected', async () => {
  gatekeeper.messages.push(message('01234567-aaaa-7bbb-8ccc-0123456789ab', 'applied'));
  addRejected('0002');
  showPage();
  const [applied, rejected] = await cells('Recent messages');
  expect(applied?.slice(0, 2)).toEqual(['…456789ab', 'Applied']);
  expect(rejected?.slice(0, 2)).toEqual(['0002', 'Rejected']);
  expect(rejected?.[3]).toBe('Activity 0: The table t does not exist.');
  expect(await button('Retry 0002')).toBeTruthy();
  expect(screen.queryByRole('button', { name: 'Retry …456789ab' })).toBeNull();
});

test('the whole id is copied', async () => {
  gatekeeper.messages.push(message('01234567-aaaa-7bbb-8ccc-0123456789ab', 'applied'));
  const user = showPage();
  await user.click(await button('Copy id …456789ab'));
  expect(await screen.findByText('The id was copied.')).toBeTruthy();
  expect(await navigator.clipboard.readText()).toBe('01234567-aaaa-7bbb-8ccc-0123456789ab');
});

test('messages are filtered by state', async () => {
  gatekeeper.messages.push(message('0001', 'applied'), message('0002', 'queued'));
  const user = showPage();
  await screen.findByText('0001');
  await user.click(screen.getByRole('radio', { name: 'Queued' }));
  await waitFor(() => expect(screen.queryByText('0001')).toBeNull());
  expect((await cells('Recent messages')).map(([id]) => id)).toEqual(['0002']);
  await user.click(screen.getByRole('radio', { name: 'All' }));
  await waitFor(() => expect(screen.queryByText('0001')).not.toBeNull());
});

test('older and newer messages are paged, and a filter starts at the newest', async () => {
  for (let n = 0; n < 25; n += 1) gatekeeper.messages.push(message(`m${n}`, 'applied'));
  const user = showPage();
  const first = async () => (await cells('Recent messages'))[0]?.[0];
  await waitFor(async () => expect(await first()).toBe('m0'));
  await user.click(await button(/Older/));
  await waitFor(async () => expect(await first()).toBe('m10'));
  await user.click(await button(/Older/));
  await waitFor(async () => expect(await first()).toBe('m20'));
  expect((await button(/Older/)).getAttribute('aria-disabled')).toBe('true');
  await user.click(await button(/Newer/));
  await waitFor(async () => expect(await first()).toBe('m10'));
  await user.click(screen.getByRole('radio', { name: 'Applied' }));
  await waitFor(async () => expect(await first()).toBe('m0'));
});

test('a rejected message is retried under a key, and both are linked', async () => {
  addRejected('0002');
  gatekeeper.overrides.set('POST /0002/retry', () => {
    gatekeeper.messages[0] = message('0002', 'rejected', { retried_as: '0003' });
    return accepted('0003');
  });
  const user = showPage();
  await user.click(await button('Retry 0002'));
  expect(await screen.findByText('0002 was queued again as 0003.')).toBeTruthy();
  const link = await screen.findByRole('link', { name: '0003' });
  expect(link.getAttribute('href')).toBe('/activities?message=0003');
  expect(screen.queryByRole('button', { name: 'Retry 0002' })).toBeNull();
  expect(document.activeElement?.id).toBe('messages-table');
  expect(gatekeeper.sent('POST', '/0002/retry')).toMatchObject([{ key: expect.any(String) }]);
});

const SENT = '{"activities": [{"operation": "delete", "n": 1.50}]}';

/** Opens the rejected message 0002 in the editor. */
async function openInEditor() {
  addRejected('0002');
  gatekeeper.overrides.set('GET /0002/payload', () => new Response(SENT));
  const user = showPage();
  await user.click(await button('Edit 0002 and send it again'));
  await waitFor(() => expect(editor().value).toBe(SENT));
  return user;
}

const editor = () => screen.getByRole<HTMLTextAreaElement>('textbox');

test('a rejected message is edited and sent in its place', async () => {
  gatekeeper.overrides.set('POST /0002/retry', () => {
    gatekeeper.messages[0] = message('0002', 'rejected', { retried_as: '0003' });
    return accepted('0003');
  });
  const user = await openInEditor();
  expect(document.activeElement).toBe(editor());
  expect(screen.getByText(/in the place of the rejected message/).textContent).toContain('0002');
  const edited = SENT.replace('delete', 'insert');
  fireEvent.change(editor(), { target: { value: edited } });
  await user.click(await button('Send'));
  await waitFor(() => expect(screen.queryByText(/in the place of/)).toBeNull());
  expect(gatekeeper.sent('POST', '')).toMatchObject([
    { target: '/0002/retry', body: edited, contentType: 'application/json' },
  ]);
  expect(gatekeeper.sent('POST', '')[0]?.key).toMatch(/^[0-9a-f-]{36}\.1$/);
  expect(gatekeeper.sent('DELETE', '')).toEqual([]);
  expect(await screen.findByRole('link', { name: '0003' })).toBeTruthy();
  expect(editor().value).toBe(edited);
});

test('an edited message that is refused stays in the editor, and the rejected one is kept', async () => {
  gatekeeper.overrides.set('POST /0002/retry', () => invalid('Unknown, at /activities/0/n.'));
  const user = await openInEditor();
  await user.click(await button('Send'));
  expect(await screen.findByText(/^Line 1, selected/)).toBeTruthy();
  expect(editor().value).toBe(SENT);
  expect(screen.getByText(/in the place of the rejected message/)).toBeTruthy();
  expect(gatekeeper.sent('DELETE', '')).toEqual([]);
});

test('an edited message is sent as a new one if that is wanted', async () => {
  gatekeeper.overrides.set('POST ', () => accepted('0003'));
  const user = await openInEditor();
  await user.click(await button('Send it as a new one instead'));
  expect(editor().value).toBe(SENT);
  expect(document.activeElement).toBe(editor());
  await user.click(await button('Send'));
  await waitFor(() => expect(gatekeeper.sent('POST', '')).toHaveLength(1));
  expect(gatekeeper.sent('POST', '')).toMatchObject([{ target: '', body: SENT }]);
});

test('an example takes the place of a message that is edited, as a new one', async () => {
  const user = await openInEditor();
  await user.click(await button('Insert'));
  expect(screen.queryByText(/in the place of/)).toBeNull();
});

test('a message that was discarded elsewhere cannot be edited', async () => {
  addRejected('0002');
  gatekeeper.overrides.set('GET /0002/payload', () => problem(404, 'There is no such message.'));
  const user = showPage();
  await user.click(await button('Edit 0002 and send it again'));
  expect(await screen.findByText('0002 is not there any more.')).toBeTruthy();
});

test('what the store says against a retry is shown', async () => {
  addRejected('0002');
  gatekeeper.overrides.set('POST /0002/retry', () => problem(409, 'It was retried as 0003.'));
  const user = showPage();
  await user.click(await button('Retry 0002'));
  expect(await screen.findByText('0002 was not retried. It was retried as 0003.')).toBeTruthy();
});

test('discarding is asked for twice', async () => {
  addRejected('0002');
  gatekeeper.overrides.set('DELETE /0002', () => {
    gatekeeper.messages.length = 0;
    return new Response('The message is discarded.');
  });
  const user = showPage();
  await user.click(await button('Discard 0002'));
  expect(document.activeElement).toBe(await button('Yes, discard 0002'));
  await user.click(await button('Keep 0002'));
  expect(document.activeElement).toBe(await button('Discard 0002'));
  expect(gatekeeper.sent('DELETE', '')).toEqual([]);
  await user.keyboard('{Enter}{Enter}');
  expect(await screen.findByText('0002 was discarded.')).toBeTruthy();
  expect(await screen.findByText('There are no messages here yet.')).toBeTruthy();
  expect(gatekeeper.sent('DELETE', '/0002')).toMatchObject([{ key: expect.any(String) }]);
});

test('all messages of a cause are retried, and the rest is counted', async () => {
  const cause = 'missing_table: a & b';
  gatekeeper.rejections = [{ cause, count: 1_204, example: '0002' }];
  gatekeeper.overrides.set('POST /rejections/retry', () => json({ retried: 1_000, left: 204 }));
  const user = showPage();
  expect(await cells('Rejections by cause')).toEqual([[cause, '1,204', '0002', 'Retry all']]);
  await user.click(await button(`Retry all: ${cause}`));
  expect(
    await screen.findByText(
      '1,000 messages were queued again. 204 are left: retry again for the rest.',
    ),
  ).toBeTruthy();
  expect(gatekeeper.sent('POST', '/rejections/retry')).toMatchObject([
    { target: '/rejections/retry?cause=missing_table%3A+a+%26+b', key: expect.any(String) },
  ]);
});

test('the example of a cause opens and has the focus; closing returns to the list', async () => {
  addRejected('0002');
  gatekeeper.rejections = [{ cause: 'missing_table: t', count: 1, example: '0002' }];
  const user = showPage();
  await user.click(await screen.findByRole('link', { name: '0002' }));
  const details = await screen.findByRole('region', { name: /^Message 0002/ });
  expect(document.activeElement).toBe(within(details).getByRole('heading'));
  expect(await within(details).findByText(/^Rejected: none/)).toBeTruthy();
  await user.click(within(details).getByRole('button', { name: 'Close' }));
  expect(screen.queryByRole('region', { name: /^Message 0002/ })).toBeNull();
  expect(window.location.search).toBe('');
  expect(document.activeElement?.id).toBe('messages-table');
});

const TABLE = {
  table: 'a/b "c"',
  columns: [
    { name: 'id', type: 'INTEGER' },
    { name: 'text', type: 'TEXT' },
    { name: 'flag', type: 'BOOLEAN' },
  ],
  rows: 3,
  last_applied_at: '2026-01-02T03:04:05Z',
};

async function openTable() {
  gatekeeper.tables = [TABLE];
  const user = showPage();
  await user.click(await button(TABLE.table));
  return user;
}

test('rows keep every digit, and tell null, an empty text and the text “null” apart', async () => {
  gatekeeper.overrides.set('GET /rows', () => {
    const rows = [
      '{"id":9007199254740993,"text":"","flag":true}',
      '{"id":-0.10,"text":null,"flag":null}',
      '{"id":null,"text":"null","flag":false}',
    ];
    return new Response(`{"rows":[${rows}],"next":null}`);
  });
  await openTable();
  const shown = await cells(`Rows of ${TABLE.table}`);
  expect(shown).toEqual([
    ['9007199254740993', 'empty text', 'true'],
    ['-0.10', 'null', 'null'],
    ['null', 'null', 'false'],
  ]);
  const absent = (await table(`Rows of ${TABLE.table}`)).querySelectorAll('.absent');
  expect([...absent].map((cell) => cell.textContent)).toEqual([
    'empty text',
    'null',
    'null',
    'null',
  ]);
});

test('rows are paged, and a table can be closed', async () => {
  gatekeeper.overrides.set('GET /rows', ({ target }) =>
    target.includes('after=x%3D')
      ? json({ rows: [{ id: 2, text: 'b', flag: null }], next: null })
      : json({ rows: [{ id: 1, text: 'a', flag: null }], next: 'x=' }),
  );
  const user = await openTable();
  await waitFor(async () => expect((await cells(`Rows of ${TABLE.table}`))[0]?.[0]).toBe('1'));
  await user.click(await button(/Next/));
  await waitFor(async () => expect((await cells(`Rows of ${TABLE.table}`))[0]?.[0]).toBe('2'));
  expect(gatekeeper.sent('GET', '/rows')[0]?.target).toBe('/rows?table=a%2Fb+%22c%22&limit=20');
  await user.click(await button(TABLE.table));
  expect(screen.queryByRole('table', { name: /^Rows of/ })).toBeNull();
});

test('dropping a table is asked for twice and says when it takes effect', async () => {
  gatekeeper.overrides.set('GET /rows', () => json({ rows: [], next: null }));
  gatekeeper.overrides.set('DELETE /tables', () => new Response('Queued.'));
  const user = await openTable();
  await user.click(await button('Drop table'));
  expect(await screen.findByText('Drop “a/b "c"” with 3 rows?')).toBeTruthy();
  expect(gatekeeper.sent('DELETE', '')).toEqual([]);
  await user.click(await button('Yes, drop it'));
  expect(
    await screen.findByText('“a/b "c"” is dropped once all messages before this are applied.'),
  ).toBeTruthy();
  expect(gatekeeper.sent('DELETE', '/tables')).toMatchObject([
    { target: '/tables?table=a%2Fb+%22c%22', key: expect.any(String) },
  ]);
});

test('rows of a table that was dropped elsewhere disappear with a sentence', async () => {
  gatekeeper.overrides.set('GET /rows', () => problem(404, 'There is no such table.'));
  await openTable();
  expect(await screen.findByText('The table does not exist any more.')).toBeTruthy();
});
