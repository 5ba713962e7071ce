import { ApiError, type ErrorKind, errorKind } from '../api/errors';

const TEXTS: Record<ErrorKind, string> = {
  unreachable: 'The lab cannot be reached right now.',
  missing: 'It does not exist, or not any more.',
  refused: 'The lab rejected the request.',
  failed: 'Something went wrong in the lab.',
  malformed: 'The lab sent an answer that this page does not understand.',
};

/** Why a request failed, in the lab's own words if it gave any. */
export function explain(error: unknown): string {
  if (!(error instanceof ApiError)) return TEXTS[errorKind(error)];
  const seconds = Math.ceil(error.retryAfterMs / 1_000);
  const again = seconds > 0 ? ` Try again in about ${seconds} s.` : '';
  return (error.detail ?? TEXTS[error.kind]) + again;
}
