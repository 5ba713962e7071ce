import { Unconfirmed } from '../api/act';
import { ApiError, type ErrorKind, errorKind } from '../api/errors';

const TEXTS: Record<ErrorKind, string> = {
  unreachable: 'The store cannot be reached right now.',
  missing: 'It does not exist any more.',
  refused: 'The store rejected the request.',
  failed: 'Something went wrong in the store.',
  malformed: 'The store sent an answer that this page does not understand.',
};

/** Why a request failed, in the store's own words if it gave any. */
export function explainFailure(error: unknown): string {
  if (error instanceof Unconfirmed) return explainFailure(error.cause);
  if (errorKind(error) === 'unreachable' && !navigator.onLine) return 'Your browser is offline.';
  return detailOf(error) ?? TEXTS[errorKind(error)];
}

/** What to say about a write that failed. */
interface WriteTexts {
  /** It is certain that nothing happened. */
  readonly notDone: string;
  /** Completes "It is not known whether". */
  readonly whether: string;
  /** What to do while that is not known. */
  readonly next: string;
}

/** The same for a write. A store that is away or full says itself what is known of the outcome. */
export function explainWrite(error: unknown, { notDone, whether, next }: WriteTexts): string {
  const why = explainFailure(error);
  if (!(error instanceof Unconfirmed)) return `${notDone} ${why}`;
  if (detailOf(error.cause) !== null) return `${why} ${next}`;
  return `${why} It is not known whether ${whether}. ${next}`;
}

function detailOf(error: unknown): string | null {
  return error instanceof ApiError ? error.detail : null;
}
