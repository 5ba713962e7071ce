import { describe, expect, test, vi } from 'vitest';
import { createCartApi, isId } from './cart';
import { errorKindOf, fetchMock, respondWith } from './fetchMock';

const cart = createCartApi('http://store.example/');
const options = { key: 'k.1', signal: new AbortController().signal };

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
    ['POST', 'orders/create/u', () => cart.createOrder('u', options)],
    ['POST', 'payment/create_user', () => cart.createUser(options)],
    ['POST', 'orders/addItem/o/17/2', () => cart.addItem('o', '17', 2, options)],
    ['DELETE', 'orders/removeItem/o/17', () => cart.removeItem('o', '17', options)],
    ['POST', 'orders/checkout/o', () => cart.checkout('o', options)],
    ['POST', 'payment/cancel/u/o', () => cart.cancel('u', 'o', options)],
    ['POST', 'payment/add_funds/u/5', () => cart.addFunds('u', 5, options)],
  ])('%s %s is sent once, with its key', async (method, path, call) => {
    respondWith({ user_id: 'u', order_id: 'o' });
    await call();
    expect(lastRequest()).toBe(`${method} http://store.example/${path}`);
    expect(fetchMock.mock.lastCall?.[1]?.headers).toMatchObject({ 'Idempotency-Key': 'k.1' });
    expect(fetchMock).toHaveBeenCalledTimes(1);
    respondWith({}, 409);
    expect(await errorKindOf(call())).toBe('refused');
    fetchMock.mockRejectedValueOnce(new TypeError('fetch failed'));
    expect(await errorKindOf(call())).toBe('unreachable');
  });

  test.each([
    ['7', 7_000],
    ['Thu, 26 Nov 2026 18:00:05 GMT', 5_000],
    ['Thu, 26 Nov 2026 17:00:00 GMT', 0],
    ['soon', 0],
    [null, 0],
  ])('Retry-After: %s asks to wait %i ms', async (header, ms) => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2026-11-26T18:00:00Z') });
    const headers = new Headers(header === null ? {} : { 'Retry-After': header });
    fetchMock.mockResolvedValueOnce(new Response('', { status: 503, headers }));
    const error = await cart.checkout('o', options).catch((reason: unknown) => reason);
    vi.useRealTimers();
    expect(error).toMatchObject({ kind: 'unreachable', retryAfterMs: ms });
  });

  test('new ids are checked', async () => {
    respondWith({ user_id: '01a1' });
    expect(await cart.createUser(options)).toBe('01a1');
    respondWith({ order_id: 'a/b' });
    expect(await errorKindOf(cart.createOrder('u', options))).toBe('malformed');
    respondWith('created');
    expect(await errorKindOf(cart.createOrder('u', options))).toBe('malformed');
  });
});

test.each(['a', 'A-b_9', 'x'.repeat(64)])('%s is an id', (text) => expect(isId(text)).toBe(true));
test.each(['', 'a b', '../x', 'x'.repeat(65), 7, null])('%s is no id', (value) =>
  expect(isId(value)).toBe(false),
);
