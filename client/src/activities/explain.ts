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

/** The same for a write; `notDone` says that it did not happen, if that is known. */
export function explainWrite(error: unknown, notDone: string, whether: string): string {
  const why = explainFailure(error);
  return error instanceof Unconfirmed
    ? `${why} It is not known whether ${whether}`
    : `${notDone} ${why}`;
}

function detailOf(error: unknown): string | null {
  return error instanceof ApiError ? error.detail : null;
}
