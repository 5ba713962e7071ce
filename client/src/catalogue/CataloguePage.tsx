import type { Overview } from '../api/overview';
import { useCatalogue } from '../api/queries';
import { useLastErrorKind } from '../api/useLastErrorKind';
import { useDocumentTitle } from '../page/useDocumentTitle';
import { useFocusAfterRetry } from '../page/useFocusAfterRetry';
import { Link } from '../router/Link';
import { useHistoryState } from '../router/location';
import { EmptyShelfIcon } from '../ui/icons';
import { StatusPanel } from '../ui/StatusPanel';
import { StoreError } from '../ui/StoreError';
import { CardSkeletons } from './CardSkeletons';
import { GameCard } from './GameCard';
import { Pager } from './Pager';
import { previousCursors } from './pagination';

/** The shelves, one page at a time. Key it by the cursor. */
export function CataloguePage({ after }: { after: string | null }) {
  const query = useCatalogue(after);
  const errorKind = useLastErrorKind(query);
  const previous = previousCursors(useHistoryState(), after);
  const page = previous === null || previous.length === 0 ? '' : `, page ${previous.length + 1}`;
  const failed = errorKind !== null && query.data === undefined;
  useDocumentTitle(failed ? 'The store is not available' : `Catalogue${page}`);
  useFocusAfterRetry(failed);
  if (failed) {
    return (
      <StoreError
        kind={errorKind}
        headingLevel={1}
        onRetry={() => void query.refetch()}
        busy={query.isFetching}
        actions={after !== null && <FirstPage />}
      />
    );
  }
  return (
    <div className="catalogue">
      <header className="catalogue__header">
        <h1>Catalogue</h1>
        <p>Every game in the store, shelf by shelf.</p>
      </header>
      {query.data === undefined ? (
        <CardSkeletons />
      ) : (
        <>
          <GameGrid overviews={query.data.overviews} />
          <Pager after={after} next={query.data.next} previous={previous} />
        </>
      )}
    </div>
  );
}

function GameGrid({ overviews }: { overviews: readonly Overview[] }) {
  if (overviews.length === 0) {
    return (
      <StatusPanel icon={<EmptyShelfIcon />} title="This shelf is empty" headingLevel={2}>
        There are no games here yet.
      </StatusPanel>
    );
  }
  return (
    // Safari drops the list role of a list without bullets.
    // biome-ignore lint/a11y/noRedundantRoles: see above
    <ul className="game-grid" role="list">
      {overviews.map((overview) => (
        <GameCard key={overview.id} overview={overview} />
      ))}
    </ul>
  );
}

function FirstPage() {
  return (
    <Link className="sf-button sf-button--secondary" href="/">
      First page
    </Link>
  );
}
