import { cleanup, fireEvent, screen, waitFor } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { EXAMPLES } from './examples';
import { accepted, FakeGatekeeper, invalid, json, message, problem } from './fakeGatekeeper';
import { button, showPage } from './testPage';

let gatekeeper: FakeGatekeeper;

beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(0);
  gatekeeper = new FakeGatekeeper();
  gatekeeper.overrides.set('POST ', () => accepted('0001'));
  window.history.replaceState(null, '', '/activities');
});
afterEach(cleanup);

const editor = async () => (await screen.findByRole('textbox')) as HTMLTextAreaElement;
const sentMessages = () => gatekeeper.sent('POST', '');
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function type(text: string) {
  fireEvent.change(await editor(), { target: { value: text } });
}

async function selectedText() {
  const { value, selectionStart, selectionEnd } = await editor();
  return value.slice(selectionStart, selectionEnd);
}

test.each(EXAMPLES)('the example “$name” is sent as it stands in the editor', async (example) => {
  const user = showPage();
  await user.click(await button(example.name));
  expect((await editor()).value).toBe(example.text);
  await user.click(await button('Send'));
  await waitFor(() => expect(sentMessages()).toHaveLength(1));
  const [sent] = sentMessages();
  expect(sent).toMatchObject({ target: '', body: example.text, contentType: 'application/json' });
  expect(sent?.key).toMatch(/^[0-9a-f-]{36}\.1$/);
  expect(JSON.parse(example.text).activities.length).toBeGreaterThan(0);
});

test('a sent message is followed from queued to applied, with times', async () => {
  gatekeeper.messages.push(message('0001', 'queued'));
  const user = showPage();
  await user.click(await button('Send'));
  expect(await screen.findByText('Applied or rejected')).toBeTruthy();
  expect(screen.getByText(/^Queued: it will be applied/)).toBeTruthy();
  gatekeeper.messages[0] = message('0001', 'applied');
  expect(await screen.findByText(/^Applied after 68 ms: all of it has taken effect/)).toBeTruthy();
  const steps = screen.getByText('Applied', { selector: '.steps__name' }).closest('ol');
  expect(steps?.querySelectorAll('time')).toHaveLength(2);
  expect(steps?.textContent).toMatch(/^Queued\d\d:\d\d:05\.100Applied\d\d:\d\d:05\.168$/);
});

test('the list shows the end of a sent message at once', async () => {
  gatekeeper.messages.push(message('0001', 'queued'));
  const user = showPage();
  await user.click(await button('Send'));
  await screen.findByText('Applied or rejected');
  gatekeeper.messages[0] = message('0001', 'applied');
  await screen.findByText(/^Applied after/);
  const list = screen.getByRole('table', { name: 'Recent messages' });
  await waitFor(() => expect(list.querySelector('.badge')?.textContent).toBe('Applied'));
});

test('a message that is rejected later says why, and when that was seen', async () => {
  gatekeeper.messages.push(message('0001', 'rejected'));
  const user = showPage();
  await user.click(await button('Send'));
  const summary = await screen.findByText(/^Rejected: none of it has taken effect/);
  expect(summary.textContent).toMatch(/Activity 0: The table t does not exist\.$/);
  const step = screen.getByText('Rejected', { selector: '.steps__name' }).closest('li');
  expect(step?.textContent).toMatch(/^Rejectedseen \d\d:\d\d:\d\d\.\d{3}$/);
});

test('an invalid value is named by its pointer and selected in the editor', async () => {
  const error = 'The lists differ in length, at /activities/0/col_values.';
  gatekeeper.overrides.set('POST ', () => invalid(error));
  const user = showPage();
  await user.click(await button('Invalid'));
  await user.click(await button('Send'));
  await waitFor(() =>
    expect(screen.getByRole('alert').textContent).toBe(
      `The message is invalid. ${error}Line 8, selected in the editor.`,
    ),
  );
  expect(document.activeElement).toBe(await editor());
  expect(await selectedText()).toBe('[3]');
  expect((await editor()).getAttribute('aria-invalid')).toBe('true');
});

test('a text that is not JSON is selected from where it breaks', async () => {
  gatekeeper.overrides.set('POST ', () => invalid('The body is not JSON.'));
  const user = showPage();
  await type('{\n "activities": [}');
  await user.click(await button('Send'));
  expect(await screen.findByText(/The body is not JSON/)).toBeTruthy();
  expect(await selectedText()).toBe('}');
  expect(screen.getByText(/^Line 2,/)).toBeTruthy();
});

test('a refusal that is not about the text selects nothing', async () => {
  gatekeeper.overrides.set('POST ', () => problem(413, 'The message is too large.'));
  const user = showPage();
  await user.click(await button('Send'));
  expect(await screen.findByText('Nothing was queued. The message is too large.')).toBeTruthy();
  expect(await selectedText()).toBe('');
});

test('checking sends no key, queues nothing and shows the plan', async () => {
  gatekeeper.overrides.set('POST ', () =>
    json({
      id: null,
      plan: {
        tables: [
          { table: 'new', created: true, columns: [{ name: 'a', type: 'TEXT' }] },
          { table: 'old', created: false, columns: [{ name: 'b', type: 'INTEGER' }] },
        ],
        rejection: null,
      },
    }),
  );
  const user = showPage();
  await user.click(await button('Check only'));
  expect(await screen.findByText('Valid, and it would be applied now.')).toBeTruthy();
  const changes = screen.getAllByRole('listitem').map((item) => item.textContent);
  expect(changes).toEqual([
    'Creates the table new with the columns: a TEXT',
    'Adds columns to the table old: b INTEGER',
  ]);
  expect(sentMessages()).toMatchObject([{ target: '?dry_run=1', key: null }]);
});

test('checking shows what would be rejected, and why', async () => {
  const rejection = { activity: 1, error: 'The table `t` does not exist.' };
  gatekeeper.overrides.set('POST ', () => json({ id: null, plan: { tables: [], rejection } }));
  const user = showPage();
  await user.click(await button('Check only'));
  const verdict = await screen.findByText('Valid, but it would be rejected now.');
  expect(verdict.parentElement?.textContent).toContain('Activity 1: The table t does not exist.');
});

test('Ctrl+Enter sends', async () => {
  showPage();
  fireEvent.keyDown(await editor(), { key: 'Enter', ctrlKey: true });
  await waitFor(() => expect(sentMessages()).toHaveLength(1));
});

test('a double click sends one message', async () => {
  const user = showPage();
  await user.dblClick(await button('Send'));
  await screen.findByText(/^There is no such message/);
  expect(sentMessages()).toHaveLength(1);
});

test('without an answer the same text is sent again under the same key, another under a new one', async () => {
  gatekeeper.overrides.set('POST ', () => new Response('', { status: 502 }));
  const user = showPage();
  await user.click(await button('Send'));
  expect(
    await screen.findByText(
      'The store cannot be reached right now. It is not known whether the message was queued. ' +
        'Send it again: the same text is queued only once.',
    ),
  ).toBeTruthy();
  const [key] = new Set(sentMessages().map((sent) => sent.key));
  expect(new Set(sentMessages().map((sent) => sent.key)).size).toBe(1);
  expect(sentMessages()).toHaveLength(5);

  await pause(750);
  gatekeeper.overrides.set('POST ', () => accepted('0001'));
  await user.click(await button('Send'));
  await waitFor(() => expect(sentMessages()).toHaveLength(6));
  expect(sentMessages().at(-1)?.key).toBe(key);

  await pause(750);
  await user.click(await button('Send'));
  await waitFor(() => expect(sentMessages()).toHaveLength(7));
  expect(sentMessages().at(-1)?.key).not.toBe(key);
});

test('a full queue is not waited for, and its own words say that nothing was queued', async () => {
  const full = 'The queue is full, and nothing was queued.';
  gatekeeper.overrides.set('POST ', () => {
    const { status, body } = problem(503, full);
    return new Response(body, { status, headers: { 'Retry-After': '60' } });
  });
  const user = showPage();
  await user.click(await button('Send'));
  expect(
    await screen.findByText(`${full} Send it again: the same text is queued only once.`),
  ).toBeTruthy();
  expect(sentMessages()).toHaveLength(1);
});

test('a repeat while the store is away is announced and can be stopped', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0.9);
  gatekeeper.overrides.set('POST ', () => problem(503, 'The queue is away.'));
  const user = showPage();
  await user.click(await button('Send'));
  await user.click(await button('Stop trying'));
  expect(await screen.findByText(/^The queue is away. Send it again/)).toBeTruthy();
  expect(sentMessages()).toHaveLength(1);
});
