import { describe, expect, test } from 'vitest';
import { createCartApi, isId } from './cart';
import { errorKindOf, fetchMock, respondWith } from './fetchMock';

const cart = createCartApi('http://store.example/');

function lastRequest() {
  const [url, init] = fetchMock.mock.lastCall ?? [];
  return `${init?.method} ${url}`;
}

test('an item has a stock and a price, or is null when it is not for sale', async () => {
  respondWith({ stock: 3, price: 1_499 });
  expect(await cart.item('17')).toEqual({ stock: 3, price: 1_499 });
  expect(lastRequest()).toBe('GET http://store.example/stock/find/17');
  for (const status of [400, 404]) {
    respondWith({ detail: 'no' }, status);
    expect(await cart.item('17')).toBeNull();
  }
  respondWith({}, 503);
  expect(await errorKindOf(cart.item('17'))).toBe('unreachable');
  respondWith({ stock: -1, price: 1 });
  expect(await errorKindOf(cart.item('17'))).toBe('malformed');
});

test('an order has lines', async () => {
  respondWith({ order_id: 'o', paid: true, items: [['17', 2]], user_id: 'u', total_cost: 30 });
  expect(await cart.order('o')).toEqual({
    id: 'o',
    paid: true,
    lines: [{ item: '17', quantity: 2 }],
    total: 30,
  });
  respondWith({ order_id: 'o', paid: true, items: [['17']], user_id: 'u', total_cost: 30 });
  expect(await errorKindOf(cart.order('o'))).toBe('malformed');
  respondWith({}, 404);
  expect(await cart.order('o')).toBeNull();
});

describe('writes', () => {
  test.each([
    ['POST', 'orders/addItem/o/17/2', () => cart.addItem('o', '17', 2)],
    ['DELETE', 'orders/removeItem/o/17', () => cart.removeItem('o', '17')],
    ['POST', 'orders/checkout/o', () => cart.checkout('o')],
    ['POST', 'payment/cancel/u/o', () => cart.cancel('u', 'o')],
    ['POST', 'payment/add_funds/u/5', () => cart.addFunds('u', 5)],
  ])('%s %s', async (method, path, call) => {
    respondWith('Done.');
    await call();
    expect(lastRequest()).toBe(`${method} http://store.example/${path}`);
    respondWith({}, 409);
    expect(await errorKindOf(call())).toBe('refused');
    fetchMock.mockRejectedValueOnce(new TypeError('fetch failed'));
    expect(await errorKindOf(call())).toBe('unreachable');
  });

  test('new ids are checked', async () => {
    respondWith({ user_id: '01a1' });
    expect(await cart.createUser()).toBe('01a1');
    respondWith({ order_id: 'a/b' });
    expect(await errorKindOf(cart.createOrder('u'))).toBe('malformed');
    respondWith('created');
    expect(await errorKindOf(cart.createOrder('u'))).toBe('malformed');
  });
});

test.each(['a', 'A-b_9', 'x'.repeat(64)])('%s is an id', (text) => expect(isId(text)).toBe(true));
test.each(['', 'a b', '../x', 'x'.repeat(65), 7, null])('%s is no id', (value) =>
  expect(isId(value)).toBe(false),
);
