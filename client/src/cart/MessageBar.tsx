import { type ReactNode, useEffect } from 'react';
import { Link } from '../router/Link';
import { usePathname } from '../router/location';
import { useCart } from './context';
import { type Message, WAIT_TEXT } from './messages';
import { CART_PATH, isCartPath } from './path';

/** Success messages disappear by themselves; errors stay until they are dismissed. */
const SUCCESS_TIMEOUT_MS = 6_000;

/**
 * The latest message at the bottom of the window, or that an operation waits for the store; a live
 * region, so that it is announced.
 */
export function MessageBar() {
  const { message, showMessage, wait } = useCart();
  useEffect(() => {
    if (message?.tone !== 'good') return;
    const timer = window.setTimeout(() => showMessage(null), SUCCESS_TIMEOUT_MS);
    return () => window.clearTimeout(timer);
  }, [message, showMessage]);
  return (
    <div className="message-bar" aria-live="polite" aria-atomic="true">
      {wait ? (
        <Panel tone="plain" text={WAIT_TEXT}>
          <button type="button" className="sf-link message__link" onClick={wait.stop}>
            Stop trying
          </button>
        </Panel>
      ) : (
        message && <MessagePanel message={message} onClose={() => showMessage(null)} />
      )}
    </div>
  );
}

function MessagePanel({ message, onClose }: { message: Message; onClose: () => void }) {
  const pathname = usePathname();
  return (
    <Panel tone={message.tone} text={message.text}>
      {message.toCart && !isCartPath(pathname) && (
        <Link className="sf-link message__link" href={CART_PATH} onClick={onClose}>
          View cart
        </Link>
      )}
      <button type="button" className="message__close" onClick={onClose}>
        <span className="sf-visually-hidden">Dismiss message</span>
        <CloseIcon />
      </button>
    </Panel>
  );
}

interface PanelProps {
  tone: Message['tone'];
  text: string;
  children: ReactNode;
}

function Panel({ tone, text, children }: PanelProps) {
  return (
    <div className={`message message--${tone}`}>
      <p>{text}</p>
      {children}
    </div>
  );
}

function CloseIcon() {
  return (
    <svg viewBox="0 0 20 20" width="16" height="16" fill="none" aria-hidden="true">
      <path d="m5 5 10 10M15 5 5 15" stroke="currentColor" strokeWidth="2" strokeLinecap="round" />
    </svg>
  );
}
