import { useSyncExternalStore } from 'react';

/** The browser's location as React state. Four routes do not justify a router library. */

const NAVIGATED = 'storefront:navigated';

/** Goes to `href` (path and query, same origin) and stores `state` with the history entry. */
export function navigate(href: string, state: unknown = null): void {
  window.history.pushState(state, '', href);
  window.scrollTo(0, 0);
  window.dispatchEvent(new Event(NAVIGATED));
}

export function usePathname(): string {
  return useSyncExternalStore(subscribe, () => window.location.pathname);
}

export function useQueryParam(name: string): string | null {
  return useSyncExternalStore(subscribe, () =>
    new URLSearchParams(window.location.search).get(name),
  );
}

/** The `state` that `navigate` stored with the current entry; it survives reloads. */
export function useHistoryState(): unknown {
  return useSyncExternalStore(subscribe, () => window.history.state);
}

function subscribe(onChange: () => void): () => void {
  window.addEventListener('popstate', onChange);
  window.addEventListener(NAVIGATED, onChange);
  return () => {
    window.removeEventListener('popstate', onChange);
    window.removeEventListener(NAVIGATED, onChange);
  };
}
