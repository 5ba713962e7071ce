import { ApiError } from './errors';

/** A reader gives up before this; the store itself gives its sister services two seconds. */
const TIMEOUT_MS = 10_000;

/** Answers that say no more than "not now". */
const LATER_STATUSES = new Set([408, 429, 502, 503, 504]);

/** The parsed body of `url`; throws an ApiError, or the abort when `signal` fires. */
export async function getJson(url: string, signal: AbortSignal): Promise<unknown> {
  const { status, text } = await getText(url, signal);
  if (status === 404) throw new ApiError('missing', `${url}: not found`);
  if (LATER_STATUSES.has(status)) throw new ApiError('unreachable', `${url}: ${status}`);
  if (status >= 400 && status <= 499) throw new ApiError('refused', `${url}: ${status}`);
  if (status < 200 || status > 299) throw new ApiError('failed', `${url}: ${status}`);
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new ApiError('malformed', `${url}: not JSON`, { cause });
  }
}

async function getText(url: string, signal: AbortSignal) {
  try {
    const response = await fetch(url, {
      headers: { Accept: 'application/json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    // Read inside the try: a connection may also break in the middle of the body.
    return { status: response.status, text: await response.text() };
  } catch (cause) {
    if (signal.aborted) throw cause;
    throw new ApiError('unreachable', `${url}: no answer`, { cause });
  }
}
