import { beforeEach, describe, expect, test, vi } from 'vitest';
import { NO_VISITOR, VisitorStore } from './visitor';

const KEY = 'storefront.visitor';

beforeEach(() => localStorage.clear());

function stored(): VisitorStore {
  return new VisitorStore(() => localStorage);
}

test('is restored by the next page', () => {
  stored().change({ user: 'u', order: 'o', paid: [{ id: 'p', at: 1 }] });
  expect(stored().read()).toMatchObject({ user: 'u', order: 'o', paid: [{ id: 'p', at: 1 }] });
  expect(stored().persistent).toBe(true);
});

test('is the same object until it changes', () => {
  const visitors = stored();
  visitors.change({ user: 'u' });
  expect(visitors.read()).toBe(visitors.read());
});

test.each([
  ['nothing', null],
  ['malformed JSON', '{'],
  ['null', 'null'],
  ['a number', '7'],
  ['a user that is not an id', '{"user":"../x"}'],
  ['a user that is not a string', '{"user":7,"order":"o"}'],
])('%s is no visitor', (_, text) => {
  if (text !== null) localStorage.setItem(KEY, text);
  expect(stored().read()).toBe(NO_VISITOR);
});

test('malformed parts are dropped, the rest is kept', () => {
  const paid = [{ id: 'p', at: 1 }, { id: '/', at: 1 }, { id: 'q' }, null, 'r'];
  localStorage.setItem(KEY, JSON.stringify({ user: 'u', order: 7, paid, revision: 'x' }));
  expect(stored().read()).toEqual({
    user: 'u',
    order: null,
    paid: [{ id: 'p', at: 1 }],
    revision: 0,
  });
});

test('only the last hundred orders are kept', () => {
  const visitors = stored();
  const paid = Array.from({ length: 150 }, (_, n) => ({ id: `p${n}`, at: n }));
  visitors.change({ user: 'u', paid });
  expect(visitors.read().paid).toHaveLength(100);
});

describe('without storage', () => {
  const full = { getItem: () => null, setItem: () => fail('full') } as unknown as Storage;
  const closed = { getItem: () => fail('closed'), setItem: () => fail('closed') } as never;

  function fail(why: string): never {
    throw new DOMException(why, 'SecurityError');
  }

  test.each([
    ['forbidden', () => fail('forbidden')],
    ['missing', () => null],
    ['closed', () => closed],
    ['full', () => full],
  ])('%s: kept in memory', (_, storage) => {
    const visitors = new VisitorStore(storage);
    visitors.change({ user: 'u' });
    visitors.change({ order: 'o' });
    expect(visitors.read()).toMatchObject({ user: 'u', order: 'o' });
    expect(visitors.persistent).toBe(false);
  });
});

describe('another tab', () => {
  function changeInOtherTab(change: object): void {
    stored().change(change);
    window.dispatchEvent(new StorageEvent('storage', { key: KEY }));
  }

  test('notifies once, with the previous value, even if the new one was already read', () => {
    const visitors = stored();
    visitors.change({ user: 'u', order: 'o' });
    const listener = vi.fn();
    visitors.subscribe(listener);
    const stop = visitors.watchTabs(window);
    stored().change({ order: null });
    visitors.read();
    changeInOtherTab({});
    expect(listener).toHaveBeenCalledTimes(1);
    const [now, before, fromOtherTab] = listener.mock.calls[0] ?? [];
    expect([now.order, before.order, fromOtherTab]).toEqual([null, 'o', true]);
    stop();
    changeInOtherTab({ order: 'x' });
    expect(listener).toHaveBeenCalledTimes(1);
  });

  test('that clears the storage clears the visitor', () => {
    const visitors = stored();
    visitors.change({ user: 'u' });
    const stop = visitors.watchTabs(window);
    localStorage.clear();
    window.dispatchEvent(new StorageEvent('storage', { key: null }));
    expect(visitors.read()).toBe(NO_VISITOR);
    stop();
  });
});
