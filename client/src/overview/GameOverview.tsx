import { type ReactNode, useEffect } from 'react';
import type { ErrorKind } from '../api/errors';
import type { Overview } from '../api/overview';
import { useOverview } from '../api/queries';
import { useLastErrorKind } from '../api/useLastErrorKind';
import { StoreError } from '../ui/StoreError';
import { MissingGame } from './MissingGame';
import { OverviewSkeleton } from './OverviewSkeleton';
import { OverviewView } from './OverviewView';

/** What the overview currently shows, for the page around it (document title, backdrop). */
export type Content = Overview | 'loading' | 'missing' | 'error';

interface Props {
  id: number;
  headingLevel: 1 | 2;
  /** Next steps if the game does not exist. */
  missingActions?: ReactNode;
  onContentChange?: (content: Content) => void;
  /** Shown under the banner. */
  offer?: ((overview: Overview) => ReactNode) | undefined;
}

/** The overview of one game in any state: loading, missing, error or shown. Key it by the id. */
export function GameOverview({ id, headingLevel, missingActions, onContentChange, offer }: Props) {
  const query = useOverview(id);
  const kind = useLastErrorKind(query);
  const content = stateOf(query.data, kind);
  useEffect(() => onContentChange?.(content), [onContentChange, content]);
  if (content === 'missing') {
    return <MissingGame id={id} headingLevel={headingLevel} actions={missingActions} />;
  }
  if (content === 'error') {
    return <StoreError kind={kind ?? 'failed'} headingLevel={headingLevel} query={query} />;
  }
  if (content === 'loading') return <OverviewSkeleton headingLevel={headingLevel} />;
  return <OverviewView overview={content} headingLevel={headingLevel} offer={offer?.(content)} />;
}

function stateOf(data: Overview | undefined, kind: ErrorKind | null): Content {
  // A failed refetch keeps the game that is shown, unless the game no longer exists.
  if (kind === 'missing') return 'missing';
  if (data !== undefined) return data;
  return kind === null ? 'loading' : 'error';
}
