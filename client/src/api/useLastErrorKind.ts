import { useState } from 'react';
import { type ErrorKind, errorKind } from './errors';

interface QueryState {
  readonly error: unknown;
  readonly isSuccess: boolean;
}

/**
 * Why the last request failed; kept while a retry is in progress, because replacing the error with a
 * skeleton would remove the focused retry button. Null after a success.
 */
export function useLastErrorKind({ error, isSuccess }: QueryState): ErrorKind | null {
  const [previous, setPrevious] = useState<ErrorKind | null>(null);
  const current = error ? errorKind(error) : isSuccess ? null : previous;
  if (current !== previous) setPrevious(current);
  return current;
}
