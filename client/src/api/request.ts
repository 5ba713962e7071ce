import { ApiError, type ErrorKind } from './errors';

/** The URL of a path of the API. */
export function apiUrl(base: string, path: string): string {
  return base.replace(/\/+$/, '') + path;
}

/** What a write is sent with, besides its body. */
export interface WriteOptions {
  /** The `Idempotency-Key`: under one key the same write takes effect once, however often it is sent. */
  readonly key: string;
  readonly signal: AbortSignal;
}

const JSON_TYPE = { 'Content-Type': 'application/json' };

/** Longer than the server's own timeouts; upstreams, for example, get two seconds. */
const TIMEOUT_MS = 10_000;

/** Statuses that mean "try again later". */
const UNAVAILABLE_STATUSES = new Set([408, 429, 502, 503, 504]);

/** The parsed body of `url`. Throws an ApiError, or the AbortError when `signal` fires. */
export async function getJson(url: string, signal: AbortSignal): Promise<unknown> {
  return parseJson(url, await getText(url, signal));
}

/** The same body as it was received: numbers keep their digits. */
export function getText(url: string, signal: AbortSignal): Promise<string> {
  return requestText('GET', url, signal);
}

/** The parsed answer to JSON text that changes nothing in the store. */
export async function postJson(
  url: string,
  json: string,
  signal: AbortSignal,
  timeoutMs = TIMEOUT_MS,
): Promise<unknown> {
  return parseJson(url, await requestText('POST', url, signal, JSON_TYPE, json, timeoutMs));
}

/**
 * Sends a write once, with JSON text as its body if it has one; calling the result parses the response body, for routes that have one. After
 * `unreachable` the write may have taken effect: repeat it under the same key.
 */
export async function send(
  method: 'POST' | 'DELETE',
  url: string,
  { key, signal }: WriteOptions,
  json?: string,
): Promise<() => unknown> {
  const headers = { 'Idempotency-Key': key, ...(json === undefined ? {} : JSON_TYPE) };
  const text = await requestText(method, url, signal, headers, json);
  return () => parseJson(url, text);
}

async function requestText(
  method: string,
  url: string,
  signal: AbortSignal,
  headers: Record<string, string> = {},
  body: string | null = null,
  timeoutMs = TIMEOUT_MS,
): Promise<string> {
  const sent = { method, headers, body };
  const { status, retryAfter, text } = await fetchText(url, sent, signal, timeoutMs);
  if (status >= 200 && status <= 299) return text;
  throw new ApiError(kindOfStatus(status), `${url}: ${status}`, {
    retryAfterMs: UNAVAILABLE_STATUSES.has(status) ? parseRetryAfter(retryAfter) : 0,
    detail: parseDetail(text),
  });
}

function kindOfStatus(status: number): ErrorKind {
  if (status === 404) return 'missing';
  if (UNAVAILABLE_STATUSES.has(status)) return 'unreachable';
  return status >= 400 && status <= 499 ? 'refused' : 'failed';
}

/** `detail` of a problem document (RFC 9457), or `error` of an invalid message. */
function parseDetail(text: string): string | null {
  try {
    const { detail, error } = JSON.parse(text) as Record<string, unknown>;
    const said = detail ?? error;
    return typeof said === 'string' ? said : null;
  } catch {
    return null;
  }
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

interface Sent {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly body: string | null;
}

async function fetchText(
  url: string,
  { method, headers, body }: Sent,
  signal: AbortSignal,
  timeoutMs: number,
) {
  try {
    const response = await fetch(url, {
      method,
      body,
      headers: { Accept: 'application/json', ...headers },
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    const retryAfter = response.headers.get('Retry-After');
    // Read inside the try, because the connection may also break in the middle of the body.
    return { status: response.status, retryAfter, text: await response.text() };
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new ApiError('unreachable', `${url}: no response`, { cause });
  }
}
