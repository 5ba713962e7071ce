import { useEffect, useRef } from 'react';
import { Link } from '../router/Link';
import { navigate } from '../router/location';
import { plural } from '../ui/format';
import { CopyId } from './CopyId';
import { shortId } from './format';
import { isOpen, MessageActions } from './MessageActions';
import { Progress } from './Progress';
import { ACTIVITIES_PATH, messageHref } from './path';
import { useMessage } from './queries';

/** One message. Key it by the id. */
export function MessageDetails({ id }: { id: string }) {
  const { data: message } = useMessage(id);
  const heading = useRef<HTMLHeadingElement>(null);
  const focusHeading = () => heading.current?.focus();
  // The link that leads here is elsewhere on the page.
  useEffect(() => {
    heading.current?.focus();
  }, []);
  return (
    <section className="panel details" aria-labelledby="details">
      <header className="panel__header">
        <h2 id="details" ref={heading} tabIndex={-1}>
          Message <CopyId id={id} />
        </h2>
        <button type="button" className="sf-link" onClick={close}>
          Close
        </button>
      </header>
      <Progress id={id} />
      {message && (
        <>
          {message.attempts > 0 && (
            <p>It was begun {plural(message.attempts, 'time')} alone, after crashes.</p>
          )}
          {message.retryOf !== null && (
            <p>
              It repeats the rejected message <MessageLink id={message.retryOf} />.
            </p>
          )}
          {message.retriedAs !== null && (
            <p>
              It was retried as <MessageLink id={message.retriedAs} />.
            </p>
          )}
          {isOpen(message) && <MessageActions message={message} onDone={focusHeading} />}
        </>
      )}
    </section>
  );
}

function close(): void {
  navigate(ACTIVITIES_PATH);
  document.getElementById('messages-table')?.focus();
}

export function MessageLink({ id }: { id: string }) {
  return (
    <Link className="sf-link message-link" href={messageHref(id)} title={id}>
      <code>{shortId(id)}</code>
    </Link>
  );
}
