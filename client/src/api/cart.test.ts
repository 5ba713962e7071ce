import { describe, expect, test } from 'vitest';
import { answer, failureOf, fetched } from './answers';
import { connectCart, isId } from './cart';

const cart = connectCart('http://store.example/');

function asked() {
  const [url, init] = fetched.mock.lastCall ?? [];
  return `${init?.method} ${url}`;
}

test('an item has a stock and a price, or is not for sale', async () => {
  answer({ stock: 3, price: 1_499 });
  expect(await cart.item('17')).toEqual({ stock: 3, price: 1_499 });
  expect(asked()).toBe('GET http://store.example/stock/find/17');
  for (const status of [400, 404]) {
    answer({ detail: 'no' }, status);
    expect(await cart.item('17')).toBeNull();
  }
  answer({}, 503);
  expect(await failureOf(cart.item('17'))).toBe('unreachable');
  answer({ stock: -1, price: 1 });
  expect(await failureOf(cart.item('17'))).toBe('malformed');
});

test('an order has lines', async () => {
  answer({ order_id: 'o', paid: true, items: [['17', 2]], user_id: 'u', total_cost: 30 });
  expect(await cart.order('o')).toEqual({
    id: 'o',
    paid: true,
    lines: [{ item: '17', quantity: 2 }],
    total: 30,
  });
  answer({ order_id: 'o', paid: true, items: [['17']], user_id: 'u', total_cost: 30 });
  expect(await failureOf(cart.order('o'))).toBe('malformed');
  answer({}, 404);
  expect(await cart.order('o')).toBeNull();
});

describe('acts', () => {
  test.each([
    ['POST', 'orders/addItem/o/17/2', () => cart.addItem('o', '17', 2)],
    ['DELETE', 'orders/removeItem/o/17', () => cart.removeItem('o', '17')],
    ['POST', 'orders/checkout/o', () => cart.checkout('o')],
    ['POST', 'payment/cancel/u/o', () => cart.cancel('u', 'o')],
    ['POST', 'payment/add_funds/u/5', () => cart.addFunds('u', 5)],
  ])('%s %s', async (method, path, act) => {
    answer('Done.');
    await act();
    expect(asked()).toBe(`${method} http://store.example/${path}`);
    answer({}, 409);
    expect(await failureOf(act())).toBe('refused');
    fetched.mockRejectedValueOnce(new TypeError('fetch failed'));
    expect(await failureOf(act())).toBe('unreachable');
  });

  test('new ids are checked', async () => {
    answer({ user_id: '01a1' });
    expect(await cart.createUser()).toBe('01a1');
    answer({ order_id: 'a/b' });
    expect(await failureOf(cart.createOrder('u'))).toBe('malformed');
    answer('created');
    expect(await failureOf(cart.createOrder('u'))).toBe('malformed');
  });
});

test.each(['a', 'A-b_9', 'x'.repeat(64)])('%s is an id', (text) => expect(isId(text)).toBe(true));
test.each(['', 'a b', '../x', 'x'.repeat(65), 7, null])('%s is no id', (value) =>
  expect(isId(value)).toBe(false),
);
