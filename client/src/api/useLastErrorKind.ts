import { useState } from 'react';
import { type ErrorKind, errorKind } from './errors';

interface QueryState {
  readonly error: unknown;
  readonly isSuccess: boolean;
}

/**
 * Why the last try failed, also while the next one is under way: a retry must not swap the notice,
 * and the button that has the keyboard's focus, for a skeleton. Null once a try succeeded.
 */
export function useLastErrorKind({ error, isSuccess }: QueryState): ErrorKind | null {
  const [previous, setPrevious] = useState<ErrorKind | null>(null);
  const current = error ? errorKind(error) : isSuccess ? null : previous;
  if (current !== previous) setPrevious(current);
  return current;
}
