import { type ReactNode, useEffect } from 'react';
import type { ErrorKind } from '../api/errors';
import type { Overview } from '../api/overview';
import { useOverview } from '../api/queries';
import { useLastErrorKind } from '../api/useLastErrorKind';
import { StoreError } from '../ui/StoreError';
import { MissingGame } from './MissingGame';
import { OverviewSkeleton } from './OverviewSkeleton';
import { OverviewView } from './OverviewView';

/** What the overview currently shows, for whoever frames it (titles, breadcrumbs). */
export type Content = Overview | 'loading' | 'missing' | 'error';

interface Props {
  id: number;
  headingLevel: 1 | 2;
  /** Ways on from a missing game. */
  missingActions?: ReactNode;
  onContentChange?: (shown: Content) => void;
  /** What to show under the banner. */
  offer?: ((overview: Overview) => ReactNode) | undefined;
}

/** The overview of one game, in whichever state it is. Key it by the id. */
export function GameOverview({ id, headingLevel, missingActions, onContentChange, offer }: Props) {
  const query = useOverview(id);
  const kind = useLastErrorKind(query);
  const content = stateOf(query.data, kind);
  useEffect(() => onContentChange?.(content), [onContentChange, content]);
  if (content === 'missing') {
    return <MissingGame id={id} headingLevel={headingLevel} actions={missingActions} />;
  }
  if (content === 'error') {
    return (
      <StoreError
        kind={kind ?? 'failed'}
        headingLevel={headingLevel}
        onRetry={() => void query.refetch()}
        busy={query.isFetching}
      />
    );
  }
  if (content === 'loading') return <OverviewSkeleton headingLevel={headingLevel} />;
  return <OverviewView overview={content} headingLevel={headingLevel} offer={offer?.(content)} />;
}

function stateOf(data: Overview | undefined, kind: ErrorKind | null): Content {
  // Once shown, a game stays when asking again fails, unless it is gone.
  if (kind === 'missing') return 'missing';
  if (data !== undefined) return data;
  return kind === null ? 'loading' : 'error';
}
