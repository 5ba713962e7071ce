import { beforeEach, vi } from 'vitest';
import { ApiError } from './errors';

/** For tests: replaces `fetch` and is reset before each test. */
export const fetchMock = vi.fn<typeof fetch>();

beforeEach(() => {
  fetchMock.mockReset();
  vi.stubGlobal('fetch', fetchMock);
});

/** Sets the response to the next request. */
export function respondWith(body: unknown, status = 200) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  fetchMock.mockResolvedValueOnce(new Response(text, { status }));
}

/** The kind of error that the promise was rejected with. */
export async function errorKindOf(promise: Promise<unknown>) {
  const error = await promise.catch((reason: unknown) => reason);
  return error instanceof ApiError ? error.kind : error;
}
