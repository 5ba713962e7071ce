import { beforeEach, vi } from 'vitest';
import { ApiError } from './errors';

/** For tests: stands in for fetch, and is empty before each test. */
export const fetchMock = vi.fn<typeof fetch>();

beforeEach(() => {
  fetchMock.mockReset();
  vi.stubGlobal('fetch', fetchMock);
});

/** What the next request is answered. */
export function respondWith(body: unknown, status = 200) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  fetchMock.mockResolvedValueOnce(new Response(text, { status }));
}

/** What kind of failure it ended in. */
export async function errorKindOf(promise: Promise<unknown>) {
  const error = await promise.catch((reason: unknown) => reason);
  return error instanceof ApiError ? error.kind : error;
}
