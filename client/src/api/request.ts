import { ApiError } from './errors';

/** The URL of a path of the API. */
export function apiUrl(base: string, path: string): string {
  return base.replace(/\/+$/, '') + path;
}

/** What a write is sent with. */
export interface WriteOptions {
  /** The `Idempotency-Key`: under one key the same write takes effect once, however often it is sent. */
  readonly key: string;
  readonly signal: AbortSignal;
}

/** Longer than the server's own timeouts; upstreams, for example, get two seconds. */
const TIMEOUT_MS = 10_000;

/** Statuses that mean "try again later". */
const UNAVAILABLE_STATUSES = new Set([408, 429, 502, 503, 504]);

/** The parsed body of `url`. Throws an ApiError, or the AbortError when `signal` fires. */
export async function getJson(url: string, signal: AbortSignal): Promise<unknown> {
  return parseJson(url, await requestText('GET', url, signal));
}

/**
 * Sends a write once; calling the result parses the response body, for routes that have one. After
 * `unreachable` the write may have taken effect: repeat it under the same key.
 */
export async function send(
  method: 'POST' | 'DELETE',
  url: string,
  { key, signal }: WriteOptions,
): Promise<() => unknown> {
  const text = await requestText(method, url, signal, { 'Idempotency-Key': key });
  return () => parseJson(url, text);
}

async function requestText(
  method: string,
  url: string,
  signal: AbortSignal,
  headers: Record<string, string> = {},
): Promise<string> {
  const { status, retryAfter, text } = await fetchText(method, url, signal, headers);
  if (status === 404) throw new ApiError('missing', `${url}: not found`);
  if (UNAVAILABLE_STATUSES.has(status)) {
    throw new ApiError('unreachable', `${url}: ${status}`, {
      retryAfterMs: parseRetryAfter(retryAfter),
    });
  }
  if (status >= 400 && status <= 499) throw new ApiError('refused', `${url}: ${status}`);
  if (status < 200 || status > 299) throw new ApiError('failed', `${url}: ${status}`);
  return text;
}

/** The header is a number of seconds or a date; anything else asks for no wait. */
function parseRetryAfter(header: string | null): number {
  if (header === null) return 0;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Math.max(0, ms || 0);
}

function parseJson(url: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ApiError('malformed', `${url}: not JSON`, { cause });
  }
}

async function fetchText(
  method: string,
  url: string,
  signal: AbortSignal,
  headers: Record<string, string>,
) {
  try {
    const response = await fetch(url, {
      method,
      headers: { Accept: 'application/json', ...headers },
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const retryAfter = response.headers.get('Retry-After');
    // Read inside the try, because the connection may also break in the middle of the body.
    return { status: response.status, retryAfter, text: await response.text() };
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new ApiError('unreachable', `${url}: no response`, { cause });
  }
}
