import { afterEach, describe, expect, test, vi } from 'vitest';
import { Act, Unconfirmed } from './act';
import { createCartApi } from './cart';
import { fetchMock, respondWith } from './fetchMock';

const cart = createCartApi('http://store.example');

function newAct(signal = new AbortController().signal) {
  vi.spyOn(Math, 'random').mockReturnValue(0);
  return new Act({ deadline: Number.POSITIVE_INFINITY, signal, onWait: () => {} });
}

function addFunds(act: Act) {
  return act.write((options) => cart.addFunds('u', 5, options));
}

function sentKeys() {
  return fetchMock.mock.calls.map(([, init]) => new Headers(init?.headers).get('Idempotency-Key'));
}

test.each([
  ['a 503', () => respondWith({}, 503)],
  ['a lost connection', () => fetchMock.mockRejectedValueOnce(new TypeError('fetch failed'))],
])('after %s the same request is sent with the same key', async (_, fail) => {
  fail();
  respondWith('Done.');
  await addFunds(newAct());
  const [first, second] = fetchMock.mock.calls;
  expect(fetchMock).toHaveBeenCalledTimes(2);
  expect([second?.[0], second?.[1]?.method]).toEqual([first?.[0], first?.[1]?.method]);
  expect(sentKeys()[1]).toBe(sentKeys()[0]);
});

test('a write without any answer is unconfirmed, a refused one is refused', async () => {
  fetchMock.mockImplementation(async () => new Response('', { status: 503 }));
  await expect(addFunds(newAct())).rejects.toBeInstanceOf(Unconfirmed);
  fetchMock.mockImplementation(async () => new Response('', { status: 422 }));
  await expect(addFunds(newAct())).rejects.toMatchObject({ kind: 'refused' });
});

test('the signal reaches the request', async () => {
  const controller = new AbortController();
  fetchMock.mockImplementationOnce((_, init) => {
    controller.abort();
    return Promise.reject(init?.signal?.reason);
  });
  await expect(addFunds(newAct(controller.signal))).rejects.toBeInstanceOf(Unconfirmed);
  expect(fetchMock).toHaveBeenCalledTimes(1);
});

describe('keys', () => {
  afterEach(() => vi.unstubAllGlobals());

  async function keysOf(act: Act, writes: number) {
    fetchMock.mockImplementation(async () => new Response('Done.'));
    for (let n = 0; n < writes; n += 1) await addFunds(act);
    return sentKeys();
  }

  test('differ between acts, and between the writes of an act', async () => {
    await keysOf(newAct(), 2);
    expect(new Set(await keysOf(newAct(), 2)).size).toBe(4);
  });

  test('are random without `randomUUID`, which pages served over plain http lack', async () => {
    const getRandomValues = crypto.getRandomValues.bind(crypto);
    vi.stubGlobal('crypto', { getRandomValues });
    await keysOf(newAct(), 1);
    const keys = await keysOf(newAct(), 1);
    expect(new Set(keys).size).toBe(2);
    for (const key of keys) expect(key).toMatch(/^[0-9a-f]{32}\.1$/);
  });
});
