import type { ReactNode } from 'react';
import { EmptyShelfIcon } from '../ui/icons';
import { StatusPanel } from '../ui/StatusPanel';

interface Props {
  /** Null when what was asked for is no game number at all. */
  id: number | null;
  headingLevel: 1 | 2;
  actions?: ReactNode;
}

export function MissingGame({ id, headingLevel, actions }: Props) {
  return (
    <StatusPanel
      icon={<EmptyShelfIcon />}
      title={id === null ? 'That is no game number' : `There is no game number ${id}`}
      headingLevel={headingLevel}
      actions={actions}
    >
      {id === null
        ? 'Games are found by whole numbers, such as 1 or 42.'
        : 'It may have been taken off the shelf, or it was never there.'}
    </StatusPanel>
  );
}
