import { useEffect } from 'react';
import { Link } from '../router/Link';
import { usePathname } from '../router/location';
import { useCart } from './context';
import { CART_PATH, isCartPath } from './path';

/** Success messages disappear by themselves; errors stay until they are dismissed. */
const SUCCESS_TIMEOUT_MS = 6_000;

/** The latest message at the bottom of the window; a live region, so that it is announced. */
export function MessageBar() {
  const { message, showMessage } = useCart();
  const pathname = usePathname();
  useEffect(() => {
    if (message?.tone !== 'good') return;
    const timer = window.setTimeout(() => showMessage(null), SUCCESS_TIMEOUT_MS);
    return () => window.clearTimeout(timer);
  }, [message, showMessage]);
  return (
    <div className="message-bar" aria-live="polite" aria-atomic="true">
      {message && (
        <div className={`message message--${message.tone}`}>
          <p>{message.text}</p>
          {message.toCart && !isCartPath(pathname) && (
            <Link
              className="sf-link message__link"
              href={CART_PATH}
              onClick={() => showMessage(null)}
            >
              View cart
            </Link>
          )}
          <button type="button" className="message__close" onClick={() => showMessage(null)}>
            <span className="sf-visually-hidden">Dismiss message</span>
            <svg viewBox="0 0 20 20" width="16" height="16" fill="none" aria-hidden="true">
              <path
                d="m5 5 10 10M15 5 5 15"
                stroke="currentColor"
                strokeWidth="2"
                strokeLinecap="round"
              />
            </svg>
          </button>
        </div>
      )}
    </div>
  );
}
