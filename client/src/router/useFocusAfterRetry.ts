import { useEffect, useRef } from 'react';
import { focusMain } from './mainLandmark';

/** A successful retry removes the focused button, so the focus moves to the new content. */
export function useFocusAfterRetry(failed: boolean): void {
  const hadFailed = useRef(failed);
  useEffect(() => {
    if (hadFailed.current && !failed && document.activeElement === document.body) focusMain();
    hadFailed.current = failed;
  }, [failed]);
}
