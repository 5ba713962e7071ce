import { focusManager } from '@tanstack/react-query';
import { cleanup, screen, waitFor, within } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeGatekeeper, json, message, problem } from './fakeGatekeeper';
import { button, showPage } from './testPage';

let gatekeeper: FakeGatekeeper;

beforeEach(() => {
  gatekeeper = new FakeGatekeeper();
  window.scrollTo = () => {};
  window.history.replaceState(null, '', '/activities');
});
afterEach(() => {
  cleanup();
  focusManager.setFocused(undefined);
});

/** The value and the hint of a counter. */
async function counter(name: string) {
  const term = await screen.findByText(name, { selector: 'dt' });
  return term.parentElement?.textContent?.replace(name, '');
}

const LATER = { timeout: 3_000 };

test('the counters, the lag and the worker are shown', async () => {
  showPage();
  await waitFor(async () => expect(await counter('Accepted')).toBe('12Put into the queue'));
  expect(await counter('Invalid')).toBe('3Not accepted');
  expect(await counter('Queued')).toBe('12.0 KiB');
  expect(await counter('Applied')).toBe('10Took effect');
  expect(await counter('Rejected')).toBe('2Had no effect');
  expect(await counter('Lag')).toBe('1 min 5 sAge of the oldest queued');
  expect(await counter('Worker')).toBe('ActiveApplies messages');
});

test('the counters follow the store each second', async () => {
  showPage();
  await waitFor(async () => expect(await counter('Accepted')).toMatch(/^12/));
  gatekeeper.status.accepted = 1_300;
  gatekeeper.status.queued.oldest_age_seconds = null;
  gatekeeper.status.worker = 'none';
  await waitFor(async () => expect(await counter('Accepted')).toMatch(/^1,300/), LATER);
  expect(await counter('Lag')).toMatch(/^0 s/);
  expect(await counter('Worker')).toBe('NoneNot on this server');
});

test('a hidden tab asks nothing', async () => {
  showPage();
  await waitFor(async () => expect(await counter('Accepted')).toMatch(/^12/));
  focusManager.setFocused(false);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const before = gatekeeper.requests.length;
  await new Promise((resolve) => setTimeout(resolve, 1_300));
  expect(gatekeeper.requests.length).toBe(before);
  focusManager.setFocused(true);
  await waitFor(() => expect(gatekeeper.requests.length).toBeGreaterThan(before), LATER);
});

test('a store without activities says so', async () => {
  gatekeeper.overrides.set('GET /status', () => problem(404, 'There is nothing here.'));
  showPage();
  expect(
    await screen.findByRole('heading', { level: 1, name: 'This store has no activities' }),
  ).toBeTruthy();
  expect(screen.queryByRole('button')).toBeNull();
});

test('a store that cannot be reached can be tried again', async () => {
  gatekeeper.overrides.set('GET /status', () => problem(503, 'The store is away.'));
  const user = showPage();
  await screen.findByRole('heading', { name: 'The store cannot be reached' });
  gatekeeper.overrides.clear();
  await user.click(await button('Try again'));
  expect(await screen.findByRole('heading', { level: 1, name: 'Activities' })).toBeTruthy();
});

test('when the store goes away the last figures stay, with its own words', async () => {
  gatekeeper.messages.push(message('0001', 'applied'));
  showPage();
  await screen.findByText('0001');
  gatekeeper.overrides.set('GET /status', () => problem(503, 'The store is away.'));
  gatekeeper.overrides.set('GET ', () => problem(503, 'The store is away.'));
  expect(
    await screen.findByText(
      /^The store is away\. These figures are from \d\d:\d\d:\d\d\.$/,
      {},
      LATER,
    ),
  ).toBeTruthy();
  expect(await counter('Accepted')).toMatch(/^12/);
  expect(
    await screen.findByText(
      /^Messages may be out of date. The store is away\./,
      {},
      { timeout: 4_500 },
    ),
  ).toBeTruthy();
  expect(screen.getByText('0001')).toBeTruthy();
}, 10_000);

test('an offline browser is named as the cause', async () => {
  gatekeeper.overrides.set('GET /tables', () => {
    throw new TypeError('fetch failed');
  });
  vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false);
  showPage();
  expect(
    await screen.findByText(/^Tables could not be loaded. Your browser is offline\./),
  ).toBeTruthy();
});

test('an answer that breaks the contract is not shown as data', async () => {
  gatekeeper.overrides.set('GET ', () => json({ activities: [{ id: 1 }], next: null }));
  showPage();
  expect(await screen.findByText(/^Messages could not be loaded\./)).toBeTruthy();
});

test('every empty list says what it will hold', async () => {
  const user = showPage();
  expect(await screen.findByText('There are no messages here yet.')).toBeTruthy();
  expect(await screen.findByText(/^No rejected message waits for a decision\./)).toBeTruthy();
  expect(await screen.findByText(/^There are no tables yet\./)).toBeTruthy();
  await user.click(screen.getByRole('radio', { name: 'Queued' }));
  expect(await screen.findByText('No message is queued.')).toBeTruthy();
});

test('the address of a message shows it, with its links', async () => {
  window.history.replaceState(null, '', '/activities?message=0002');
  gatekeeper.messages.push(
    message('0002', 'rejected', { retry_of: '0001', retried_as: '0003', attempts: 10 }),
  );
  showPage();
  const details = await screen.findByRole('region', { name: /^Message 0002/ });
  expect(await within(details).findByText(/^Rejected: none of it has taken effect/)).toBeTruthy();
  expect(within(details).getByRole('link', { name: '0001' })).toBeTruthy();
  expect(within(details).getByRole('link', { name: '0003' })).toBeTruthy();
  expect(within(details).getByText(/begun 10 times alone/)).toBeTruthy();
  // It was retried already.
  expect(within(details).queryByRole('button', { name: /^Retry/ })).toBeNull();
});

test('the address of an unknown message says that there is none', async () => {
  window.history.replaceState(null, '', '/activities?message=0009');
  showPage();
  expect(await screen.findByText(/^There is no such message/)).toBeTruthy();
});
