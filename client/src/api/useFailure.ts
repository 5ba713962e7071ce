import { useState } from 'react';
import { type FailureKind, failureKind } from './errors';

interface Asked {
  readonly error: unknown;
  readonly isSuccess: boolean;
}

/**
 * Why the last try failed, also while the next one is under way: a retry must not swap the notice,
 * and the button that has the keyboard's focus, for a skeleton. Null once a try succeeded.
 */
export function useFailure({ error, isSuccess }: Asked): FailureKind | null {
  const [last, setLast] = useState<FailureKind | null>(null);
  const current = error ? failureKind(error) : isSuccess ? null : last;
  if (current !== last) setLast(current);
  return current;
}
