import { useEffect, useState } from 'react';
import type { Message } from '../api/activities';
import { Unavailable } from '../ui/Unavailable';
import { useRefresh } from './context';
import { formatClock, formatDuration } from './format';
import { useMessage } from './queries';
import { Sentence } from './Sentence';

interface Props {
  id: string;
  /** It was sent a moment ago, so that the moment in which its end was seen is worth showing. */
  watched?: boolean;
}

/** A message on its way: queued, then applied or rejected. */
export function Progress({ id, watched = false }: Props) {
  const { data: message, isError, refetch, dataUpdatedAt } = useMessage(id);
  const [endSeenAt, setEndSeenAt] = useState<number | null>(null);
  if (watched && endSeenAt === null && message && message.state !== 'queued') {
    setEndSeenAt(dataUpdatedAt);
  }
  const refresh = useRefresh();
  useEffect(() => {
    if (endSeenAt !== null) refresh();
  }, [endSeenAt, refresh]);
  return (
    <div className="progress">
      {message && <Steps message={message} endSeenAt={endSeenAt} />}
      <p role="status" className="progress__summary">
        {message === null
          ? 'There is no such message; it may have been discarded, or removed after a time.'
          : message && <Sentence text={summary(message)} />}
      </p>
      {isError && !message && <Unavailable onRetry={() => void refetch()} />}
    </div>
  );
}

interface StepsProps {
  message: Message;
  endSeenAt: number | null;
}

function Steps({ message, endSeenAt }: StepsProps) {
  const { state, receivedAt, appliedAt } = message;
  return (
    <ol className="steps">
      <Step name="Queued" state="done" at={receivedAt} />
      {state === 'queued' ? (
        <Step name="Applied or rejected" state="waiting" at={null} />
      ) : (
        <Step
          name={state === 'applied' ? 'Applied' : 'Rejected'}
          state={state === 'applied' ? 'done' : 'failed'}
          at={appliedAt ?? endSeenAt}
          seen={appliedAt === null}
        />
      )}
    </ol>
  );
}

interface StepProps {
  name: string;
  state: 'done' | 'waiting' | 'failed';
  at: number | null;
  /** The store does not record when a message was rejected: the time is when this page saw it. */
  seen?: boolean;
}

function Step({ name, state, at, seen = false }: StepProps) {
  return (
    <li
      className="steps__step"
      data-state={state}
      aria-current={state === 'waiting' ? 'step' : undefined}
    >
      <span className="steps__name">{name}</span>
      {at !== null && (
        <time className="steps__time" dateTime={new Date(at).toISOString()}>
          {seen && 'seen '}
          {formatClock(at)}
        </time>
      )}
      {state === 'waiting' && <span className="steps__time">waiting…</span>}
    </li>
  );
}

function summary({ state, error, activity, receivedAt, appliedAt }: Message): string {
  if (state === 'queued') return 'Queued: it will be applied behind the messages before it.';
  if (state === 'applied') {
    const took = appliedAt === null ? '' : ` ${formatDuration((appliedAt - receivedAt) / 1_000)}`;
    return `Applied${took && ` after${took}`}: all of it has taken effect.`;
  }
  const where = activity === null ? '' : ` Activity ${activity}:`;
  return `Rejected: none of it has taken effect.${where} ${error ?? ''}`.trim();
}
