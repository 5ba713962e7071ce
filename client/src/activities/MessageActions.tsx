import type { Message } from '../api/activities';
import { useCart } from '../cart/context';
import { ConfirmButton } from '../ui/ConfirmButton';
import { useAction } from '../ui/useAction';
import { useAct, useActivitiesApi } from './context';
import { useDraft } from './draft';
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

/** Retry, as it is or edited, and Discard of a rejected message. */
export function MessageActions({ message: { id }, onDone }: Props) {
  const api = useActivitiesApi();
  const perform = useAct();
  const { showMessage } = useCart();
  const name = shortId(id);
  const { open } = useDraft();
  const act = useAction(async (action: Action) => {
    try {
      if (action === 'open') {
        const text = await perform((act) => act.read((signal) => api.payload(id, signal)));
        if (text === null) showMessage({ text: `${name} is not there any more.`, tone: 'bad' });
        else open(text, id);
        return;
      }
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
      <button
        type="button"
        className="sf-link"
        aria-label={`Edit ${name} and send it again`}
        aria-disabled={act.busy}
        onClick={act.busy ? undefined : () => act.run('open')}
      >
        Edit
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

type Action = 'retry' | 'open' | 'discard';

const DONE = { retry: 'retried', open: 'opened', discard: 'discarded' } as const;

function explain(action: Action, name: string, error: unknown): string {
  const done = DONE[action];
  return explainWrite(error, {
    notDone: `${name} was not ${done}.`,
    whether: `${name} was ${done}`,
    next: 'The list shows it.',
  });
}
