import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ApiError } from './errors';
import { MAX_TRIES, repeatWhileUnreachable } from './repeat';

let request = vi.fn<() => Promise<string>>();
let onWait = vi.fn();
let controller = new AbortController();

beforeEach(() => {
  vi.useFakeTimers();
  request = vi.fn();
  onWait = vi.fn();
  controller = new AbortController();
});
afterEach(() => vi.useRealTimers());

function failTimes(times: number, error: Error = new ApiError('unreachable', 'no response')) {
  for (let n = 0; n < times; n += 1) request.mockRejectedValueOnce(error);
  request.mockResolvedValue('done');
}

/** Its `outcome` becomes the result or the error. */
function start(withinMs = 60_000) {
  const state: { outcome: unknown } = { outcome: 'pending' };
  const { signal } = controller;
  repeatWhileUnreachable(request, { deadline: performance.now() + withinMs, signal, onWait }).then(
    (result) => {
      state.outcome = result;
    },
    (error: unknown) => {
      state.outcome = error;
    },
  );
  return state;
}

test('waits a random part of a window that doubles with each try', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  failTimes(3);
  const state = start();
  for (const [index, wait] of [500, 1_000, 2_000].entries()) {
    await vi.advanceTimersByTimeAsync(wait - 1);
    expect(request).toHaveBeenCalledTimes(index + 1);
    await vi.advanceTimersByTimeAsync(1);
    expect(request).toHaveBeenCalledTimes(index + 2);
  }
  expect(state.outcome).toBe('done');
  expect(onWait).toHaveBeenCalledTimes(3);
});

test('waits at least as long as Retry-After says', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0.25);
  failTimes(1, new ApiError('unreachable', '503', { retryAfterMs: 4_000 }));
  const state = start();
  await vi.advanceTimersByTimeAsync(4_249);
  expect(request).toHaveBeenCalledTimes(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(state.outcome).toBe('done');
});

test.each([
  ['the last try', MAX_TRIES, 60_000],
  ['the deadline', 3, 4_000],
])('gives up after %s', async (_, tries, withinMs) => {
  vi.spyOn(Math, 'random').mockReturnValue(0.9);
  failTimes(MAX_TRIES);
  const state = start(withinMs);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(state.outcome).toMatchObject({ kind: 'unreachable' });
  expect(request).toHaveBeenCalledTimes(tries);
});

test.each(['missing', 'refused', 'failed', 'malformed'] as const)(
  '%s is not repeated',
  async (kind) => {
    failTimes(1, new ApiError(kind, 'no'));
    const state = start();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(state.outcome).toMatchObject({ kind });
    expect(onWait).not.toHaveBeenCalled();
  },
);

test('aborting during a wait ends it with the last error', async () => {
  vi.spyOn(Math, 'random').mockReturnValue(0.5);
  failTimes(MAX_TRIES);
  const state = start();
  await vi.advanceTimersByTimeAsync(10);
  controller.abort();
  await vi.advanceTimersByTimeAsync(0);
  expect(state.outcome).toMatchObject({ kind: 'unreachable', message: 'no response' });
  await vi.advanceTimersByTimeAsync(60_000);
  expect(request).toHaveBeenCalledTimes(1);
  expect(vi.getTimerCount()).toBe(0);
});

test('aborting a try is reported as unreachable, and not repeated', async () => {
  request.mockImplementationOnce(async () => {
    controller.abort();
    throw new DOMException('stopped', 'AbortError');
  });
  const state = start();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(state.outcome).toMatchObject({ kind: 'unreachable' });
  expect(request).toHaveBeenCalledTimes(1);
});
