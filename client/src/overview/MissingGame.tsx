import type { ReactNode } from 'react';
import { EmptyShelfIcon } from '../ui/icons';
import { StatusPanel } from '../ui/StatusPanel';

interface Props {
  /** Null when the host page's path holds no game number. */
  id: number | null;
  headingLevel: 1 | 2;
  actions?: ReactNode;
}

export function MissingGame({ id, headingLevel, actions }: Props) {
  return (
    <StatusPanel
      icon={<EmptyShelfIcon />}
      title={id === null ? 'Game not found' : `Game #${id} not found`}
      headingLevel={headingLevel}
      actions={actions}
    >
      {id === null
        ? 'The address of this page contains no game number.'
        : 'It may have been removed, or it never existed.'}
    </StatusPanel>
  );
}
