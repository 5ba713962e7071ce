import type { Message } from '../api/activities';
import { useCart } from '../cart/context';
import { ConfirmButton } from '../ui/ConfirmButton';
import { useAction } from '../ui/useAction';
import { useAct, useActivitiesApi } from './context';
import { explainWrite } from './explain';
import { shortId } from './format';

interface Props {
  message: Message;
  /** Called when the message has changed and the buttons are about to disappear. */
  onDone: () => void;
}

/** Whether a person still has to decide what becomes of the message. */
export function isOpen({ state, retriedAs }: Message): boolean {
  return state === 'rejected' && retriedAs === null;
}

/** Retry and Discard of a rejected message. */
export function MessageActions({ message: { id }, onDone }: Props) {
  const api = useActivitiesApi();
  const perform = useAct();
  const { showMessage } = useCart();
  const name = shortId(id);
  const act = useAction(async (action: 'retry' | 'discard') => {
    try {
      if (action === 'retry') {
        const newId = await perform((act) => act.write((options) => api.retry(id, options)));
        showMessage({ text: `${name} was queued again as ${shortId(newId)}.`, tone: 'good' });
      } else {
        await perform((act) => act.write((options) => api.discard(id, options)));
        showMessage({ text: `${name} was discarded.`, tone: 'good' });
      }
      onDone();
    } catch (error) {
      showMessage({ text: explain(action, name, error), tone: 'bad' });
    }
  });
  return (
    <span className="row-actions">
      <button
        type="button"
        className="sf-link"
        aria-label={`Retry ${name}`}
        aria-disabled={act.busy}
        onClick={act.busy ? undefined : () => act.run('retry')}
      >
        Retry
      </button>
      <ConfirmButton
        label="Discard"
        of={name}
        confirm="Yes, discard"
        keep="Keep"
        busy={act.busy}
        busyLabel="Discarding…"
        onConfirm={() => act.run('discard')}
      />
    </span>
  );
}

function explain(action: 'retry' | 'discard', name: string, error: unknown): string {
  const done = action === 'retry' ? 'retried' : 'discarded';
  return explainWrite(error, {
    notDone: `${name} was not ${done}.`,
    whether: `${name} was ${done}`,
    next: 'The list shows it.',
  });
}
