import { useState } from 'react';
import { MESSAGE_STATES, type Message, type MessageState } from '../api/activities';
import { CopyId } from './CopyId';
import { DataTable, focusTable } from './DataTable';
import { formatDayAndTime } from './format';
import { Loaded } from './Loaded';
import { isOpen, MessageActions } from './MessageActions';
import { MessageLink } from './MessageDetails';
import { Pager, usePages } from './Pager';
import { useMessages } from './queries';
import { Sentence } from './Sentence';
import { STATE_NAMES, StateBadge } from './StateBadge';

const TABLE_ID = 'messages-table';

/** Recent messages, newest first, of one state or all. */
export function Messages() {
  const [state, setState] = useState<MessageState | null>(null);
  const pages = usePages();
  const query = useMessages(state, pages.after);
  const filter = (state: MessageState | null) => {
    setState(state);
    pages.first();
  };
  return (
    <section className="panel" aria-labelledby="messages">
      <header className="panel__header">
        <h2 id="messages">Recent messages</h2>
        <StateFilter state={state} onChange={filter} />
      </header>
      <Loaded query={query} what="Messages">
        {({ entries, next }) => (
          <>
            {entries.length === 0 ? (
              <p className="panel__empty">
                {state === null ? 'There are no messages here yet.' : `No message is ${state}.`}
              </p>
            ) : (
              <MessageTable messages={entries} />
            )}
            <Pager name="Messages" pages={pages} next={next} backLabel="Newer" forthLabel="Older" />
          </>
        )}
      </Loaded>
    </section>
  );
}

interface FilterProps {
  state: MessageState | null;
  onChange: (state: MessageState | null) => void;
}

function StateFilter({ state, onChange }: FilterProps) {
  return (
    <fieldset className="filter">
      <legend className="sf-visually-hidden">Show messages that are</legend>
      {[null, ...MESSAGE_STATES].map((choice) => (
        <label key={choice} className="filter__choice">
          <input
            type="radio"
            name="message-state"
            checked={choice === state}
            onChange={() => onChange(choice)}
          />
          {choice === null ? 'All' : STATE_NAMES[choice]}
        </label>
      ))}
    </fieldset>
  );
}

function MessageTable({ messages }: { messages: readonly Message[] }) {
  return (
    <DataTable
      id={TABLE_ID}
      caption="Recent messages"
      className="table--messages"
      head={
        <>
          <th scope="col">Id</th>
          <th scope="col">State</th>
          <th scope="col">Received</th>
          <th scope="col">Error</th>
          <th scope="col">Actions</th>
        </>
      }
    >
      {messages.map((message) => (
        <MessageRow key={message.id} message={message} />
      ))}
    </DataTable>
  );
}

function MessageRow({ message }: { message: Message }) {
  const { id, state, receivedAt, error, activity, retryOf, retriedAs } = message;
  return (
    <tr>
      <th scope="row">
        <CopyId id={id} />
      </th>
      <td>
        <StateBadge state={state} />
      </td>
      <td className="table__time">
        <time dateTime={new Date(receivedAt).toISOString()}>{formatDayAndTime(receivedAt)}</time>
      </td>
      <td className="table__text">
        {activity !== null && `Activity ${activity}: `}
        {error !== null && <Sentence text={error} />}
        {retryOf !== null && (
          <span className="table__link">
            Repeats <MessageLink id={retryOf} />
          </span>
        )}
        {retriedAs !== null && (
          <span className="table__link">
            Retried as <MessageLink id={retriedAs} />
          </span>
        )}
      </td>
      <td className="table__actions">
        {isOpen(message) && (
          <MessageActions message={message} onDone={() => focusTable(TABLE_ID)} />
        )}
      </td>
    </tr>
  );
}
