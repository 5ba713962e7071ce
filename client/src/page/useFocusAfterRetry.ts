import { useEffect, useRef } from 'react';
import { focusMain } from './mainLandmark';

/** When a retry succeeds its button vanishes; the keyboard goes on from the content that came. */
export function useFocusAfterRetry(failed: boolean): void {
  const hadFailed = useRef(failed);
  useEffect(() => {
    if (hadFailed.current && !failed && document.activeElement === document.body) focusMain();
    hadFailed.current = failed;
  }, [failed]);
}
