import type { Overview } from '../api/overview';
import { useCatalogue } from '../api/queries';
import { useFailure } from '../api/useFailure';
import { useDocumentTitle } from '../page/useDocumentTitle';
import { useFocusAfterTrouble } from '../page/useFocusAfterTrouble';
import { Link } from '../router/Link';
import { useHistoryState } from '../router/location';
import { Notice } from '../ui/Notice';
import { EmptyShelf } from '../ui/pictures';
import { StoreTrouble } from '../ui/StoreTrouble';
import { CardSkeletons } from './CardSkeletons';
import { GameCard } from './GameCard';
import { Pager } from './Pager';
import { trailOf } from './place';

/** The shelves, one page at a time. Key it by the cursor. */
export function CataloguePage({ after }: { after: string | null }) {
  const query = useCatalogue(after);
  const failure = useFailure(query);
  const trail = trailOf(useHistoryState(), after);
  const page = trail === null || trail.length === 0 ? '' : `, page ${trail.length + 1}`;
  const trouble = failure !== null && query.data === undefined;
  useDocumentTitle(trouble ? 'The store is not available' : `Catalogue${page}`);
  useFocusAfterTrouble(trouble);
  if (trouble) {
    return (
      <StoreTrouble
        kind={failure}
        headingLevel={1}
        onRetry={() => void query.refetch()}
        busy={query.isFetching}
        actions={after !== null && <FirstPage />}
      />
    );
  }
  return (
    <div className="catalogue">
      <header className="catalogue__head">
        <h1>Catalogue</h1>
        <p>Every game in the store, shelf by shelf.</p>
      </header>
      {query.data === undefined ? (
        <CardSkeletons />
      ) : (
        <>
          <Shelf overviews={query.data.overviews} />
          <Pager after={after} next={query.data.next} trail={trail} />
        </>
      )}
    </div>
  );
}

function Shelf({ overviews }: { overviews: readonly Overview[] }) {
  if (overviews.length === 0) {
    return (
      <Notice picture={<EmptyShelf />} title="This shelf is empty" headingLevel={2}>
        There are no games here yet.
      </Notice>
    );
  }
  return (
    // Safari drops the list role of a list without bullets.
    // biome-ignore lint/a11y/noRedundantRoles: see above
    <ul className="shelf" role="list">
      {overviews.map((overview) => (
        <GameCard key={overview.id} overview={overview} />
      ))}
    </ul>
  );
}

function FirstPage() {
  return (
    <Link className="sf-button sf-button--quiet" href="/">
      First page
    </Link>
  );
}
