import { beforeEach, vi } from 'vitest';
import { ApiError } from './errors';

/** For tests: stands in for fetch, and is empty before each test. */
export const fetched = vi.fn<typeof fetch>();

beforeEach(() => {
  fetched.mockReset();
  vi.stubGlobal('fetch', fetched);
});

/** What the next request is answered. */
export function answer(body: unknown, status = 200) {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  fetched.mockResolvedValueOnce(new Response(text, { status }));
}

/** What kind of failure it ended in. */
export async function failureOf(promise: Promise<unknown>) {
  const error = await promise.catch((reason: unknown) => reason);
  return error instanceof ApiError ? error.kind : error;
}
