import type { Message } from '../api/activities';
import { Unavailable } from '../ui/Unavailable';
import { CopyId } from './CopyId';
import { formatClock, formatDuration } from './format';
import { useMessage } from './queries';

/** A message on its way: queued, then applied or rejected. */
export function Progress({ id }: { id: string }) {
  const { data: message, isError, refetch } = useMessage(id);
  return (
    <div className="progress">
      <p className="progress__id">
        Message <CopyId id={id} />
      </p>
      {message && <Steps message={message} />}
      <p role="status" className="progress__summary">
        {message === null
          ? 'There is no such message; it may have been discarded, or removed after a time.'
          : message && summary(message)}
      </p>
      {isError && !message && <Unavailable onRetry={() => void refetch()} />}
    </div>
  );
}

function Steps({ message }: { message: Message }) {
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
          at={appliedAt}
        />
      )}
    </ol>
  );
}

interface StepProps {
  name: string;
  state: 'done' | 'waiting' | 'failed';
  at: number | null;
}

function Step({ name, state, at }: StepProps) {
  return (
    <li
      className="steps__step"
      data-state={state}
      aria-current={state === 'waiting' ? 'step' : undefined}
    >
      <span className="steps__name">{name}</span>
      {at !== null && (
        <time className="steps__time" dateTime={new Date(at).toISOString()}>
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
