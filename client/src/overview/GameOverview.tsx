import { type ReactNode, useEffect } from 'react';
import type { FailureKind } from '../api/errors';
import type { Overview } from '../api/overview';
import { useOverview } from '../api/queries';
import { useFailure } from '../api/useFailure';
import { StoreTrouble } from '../ui/StoreTrouble';
import { MissingGame } from './MissingGame';
import { OverviewSkeleton } from './OverviewSkeleton';
import { OverviewView } from './OverviewView';

/** What the overview currently shows, for whoever frames it (titles, breadcrumbs). */
export type Shown = Overview | 'loading' | 'missing' | 'trouble';

interface Props {
  id: number;
  headingLevel: 1 | 2;
  /** Ways on from a missing game. */
  missingActions?: ReactNode;
  onShown?: (shown: Shown) => void;
  /** What to show under the banner. */
  offer?: ((overview: Overview) => ReactNode) | undefined;
}

/** The overview of one game, in whichever state it is. Key it by the id. */
export function GameOverview({ id, headingLevel, missingActions, onShown, offer }: Props) {
  const query = useOverview(id);
  const kind = useFailure(query);
  const shown = stateOf(query.data, kind);
  useEffect(() => onShown?.(shown), [onShown, shown]);
  if (shown === 'missing') {
    return <MissingGame id={id} headingLevel={headingLevel} actions={missingActions} />;
  }
  if (shown === 'trouble') {
    return (
      <StoreTrouble
        kind={kind ?? 'failed'}
        headingLevel={headingLevel}
        onRetry={() => void query.refetch()}
        busy={query.isFetching}
      />
    );
  }
  if (shown === 'loading') return <OverviewSkeleton headingLevel={headingLevel} />;
  return <OverviewView overview={shown} headingLevel={headingLevel} offer={offer?.(shown)} />;
}

function stateOf(data: Overview | undefined, kind: FailureKind | null): Shown {
  // Once shown, a game stays when asking again fails, unless it is gone.
  if (kind === 'missing') return 'missing';
  if (data !== undefined) return data;
  return kind === null ? 'loading' : 'trouble';
}
