import { ApiError } from './errors';

/** The URL of a path of the API. */
export function apiUrl(base: string, path: string): string {
  return base.replace(/\/+$/, '') + path;
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
 * Sends a write; calling the result parses the response body, for routes that have one. After
 * `unreachable` the outcome is unknown: the write may have happened.
 */
export async function send(method: 'POST' | 'DELETE', url: string): Promise<() => unknown> {
  const text = await requestText(method, url);
  return () => parseJson(url, text);
}

async function requestText(method: string, url: string, signal?: AbortSignal): Promise<string> {
  const { status, text } = await fetchText(method, url, signal);
  if (status === 404) throw new ApiError('missing', `${url}: not found`);
  if (UNAVAILABLE_STATUSES.has(status)) throw new ApiError('unreachable', `${url}: ${status}`);
  if (status >= 400 && status <= 499) throw new ApiError('refused', `${url}: ${status}`);
  if (status < 200 || status > 299) throw new ApiError('failed', `${url}: ${status}`);
  return text;
}

function parseJson(url: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ApiError('malformed', `${url}: not JSON`, { cause });
  }
}

async function fetchText(method: string, url: string, signal?: AbortSignal) {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  try {
    const response = await fetch(url, {
      method,
      headers: { Accept: 'application/json' },
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    // Read inside the try, because the connection may also break in the middle of the body.
    return { status: response.status, text: await response.text() };
  } catch (cause) {
    if (signal?.aborted) throw cause;
    throw new ApiError('unreachable', `${url}: no response`, { cause });
  }
}
