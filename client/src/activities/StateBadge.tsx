import type { MessageState } from '../api/activities';

export const STATE_NAMES: Record<MessageState, string> = {
  queued: 'Queued',
  applied: 'Applied',
  rejected: 'Rejected',
};

export function StateBadge({ state }: { state: MessageState }) {
  return (
    <span className="badge" data-state={state}>
      {STATE_NAMES[state]}
    </span>
  );
}
