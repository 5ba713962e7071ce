import { STATE_NAMES } from './labels';
import type { JobState } from './model';

export function StateBadge({ state }: { state: JobState }) {
  return (
    <span className="badge" data-state={state}>
      {STATE_NAMES[state]}
    </span>
  );
}
