import { useEffect, useRef } from 'react';
import { focusMain } from './main-landmark';

/** When a retry succeeds its button vanishes; the keyboard goes on from the content that came. */
export function useFocusAfterTrouble(trouble: boolean): void {
  const before = useRef(trouble);
  useEffect(() => {
    if (before.current && !trouble && document.activeElement === document.body) focusMain();
    before.current = trouble;
  }, [trouble]);
}
