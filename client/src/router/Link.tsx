import type { ComponentPropsWithRef, MouseEvent } from 'react';
import { navigate } from './location';

interface Props extends ComponentPropsWithRef<'a'> {
  href: string;
  /** Stored with the history entry. */
  state?: unknown;
}

/** Navigates without a page load. A real anchor, so that opening in a new tab and copying work. */
export function Link({ href, state, onClick, ...rest }: Props) {
  const follow = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    if (!isPlainClick(event)) return;
    event.preventDefault();
    navigate(href, state);
  };
  return <a {...rest} href={href} onClick={follow} />;
}

function isPlainClick(event: MouseEvent<HTMLAnchorElement>): boolean {
  return event.button === 0 && !(event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);
}
