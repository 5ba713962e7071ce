import { ApiError } from './errors';

/** Repeats requests to a store that cannot be reached for a moment. */

export interface Repeats {
  /** By the clock of `performance.now()`; no repeat begins later. */
  readonly deadline: number;
  /** Aborting ends the repeats with the last `unreachable`. */
  readonly signal: AbortSignal;
  /** Called before each wait for a repeat. */
  readonly onWait: () => void;
}

export const MAX_TRIES = 5;
/** The random wait before the first repeat is below this, and doubles with each further one. */
const FIRST_BACKOFF_MS = 1_000;

/**
 * Calls `request` again after each `unreachable`, with exponential backoff and full jitter, but not
 * before the time that the service asked for. Only for what is safe to repeat: a read, or a write with
 * the same idempotency key each time. Throws the last try's error.
 */
export async function repeatWhileUnreachable<T>(
  request: () => Promise<T>,
  { deadline, signal, onWait }: Repeats,
): Promise<T> {
  let failure: unknown;
  for (let tries = 1; ; tries += 1) {
    try {
      return await request();
    } catch (error) {
      // After an abort the error is that of `fetch`, which says nothing of the store.
      if (signal.aborted) throw failure ?? new ApiError('unreachable', 'stopped', { cause: error });
      failure = error;
    }
    const wait = waitBefore(failure, tries);
    if (wait === null || tries === MAX_TRIES || performance.now() + wait > deadline) throw failure;
    onWait();
    await sleep(wait, signal);
    if (signal.aborted) throw failure;
  }
}

/** In milliseconds; null for an error that a repeat would not change. */
function waitBefore(failure: unknown, tries: number): number | null {
  if (!(failure instanceof ApiError) || failure.kind !== 'unreachable') return null;
  return failure.retryAfterMs + Math.random() * FIRST_BACKOFF_MS * 2 ** (tries - 1);
}

/** Ends early when `signal` fires. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    function done() {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
  });
}
