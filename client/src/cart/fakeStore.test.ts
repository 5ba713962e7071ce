import { expect, test } from 'vitest';
import { errorKindOf } from '../api/fetchMock';
import { FakeStore } from './fakeStore';

/** The fake must have the store's rules for idempotency keys, or the tests that use it prove nothing. */

const { signal } = new AbortController();
const key = (key: string) => ({ key, signal });

test('the same write under the same key takes effect once and gives the first result', async () => {
  const store = new FakeStore();
  const user = await store.createUser(key('a'));
  expect(await store.createUser(key('a'))).toBe(user);
  expect(await store.createUser(key('b'))).not.toBe(user);
  await store.addFunds(user, 5, key('c'));
  await store.addFunds(user, 5, key('c'));
  expect(store.users.get(user)).toBe(5);
});

test('another write under the key is refused and changes nothing', async () => {
  const store = new FakeStore();
  const user = await store.createUser(key('a'));
  await store.addFunds(user, 5, key('b'));
  expect(await errorKindOf(store.addFunds(user, 6, key('b')))).toBe('refused');
  expect(await errorKindOf(store.createOrder(user, key('a')))).toBe('refused');
  expect([store.users.get(user), store.orders.size]).toEqual([5, 0]);
});

test('a refusal is not kept: the repeat is judged anew', async () => {
  const store = new FakeStore();
  const user = await store.createUser(key('a'));
  const order = await store.createOrder(user, key('b'));
  expect(await errorKindOf(store.addItem(order, '1', 1, key('c')))).toBe('missing');
  store.items.set('1', { stock: 1, price: 1 });
  await store.addItem(order, '1', 1, key('c'));
  expect(store.orders.get(order)?.total).toBe(1);
});
