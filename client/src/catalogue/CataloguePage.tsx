import type { Overview } from '../api/overview';
import { useCatalogue } from '../api/queries';
import { useHistoryState } from '../router/location';
import { EmptyShelfIcon } from '../ui/icons';
import { List } from '../ui/List';
import { StatusPanel } from '../ui/StatusPanel';
import { useErrorPage } from '../ui/useErrorPage';
import { CardSkeletons } from './CardSkeletons';
import { GameCard } from './GameCard';
import { FirstPageLink, Pager } from './Pager';
import { previousCursors } from './pagination';

/** One page of the catalogue. Key it by the cursor. */
export function CataloguePage({ after }: { after: string | null }) {
  const query = useCatalogue(after);
  const previous = previousCursors(useHistoryState(), after);
  const page = previous === null || previous.length === 0 ? '' : `, page ${previous.length + 1}`;
  const errorPage = useErrorPage(query, {
    title: `Catalogue${page}`,
    actions: after !== null && <FirstPageLink />,
  });
  if (errorPage) return errorPage;
  return (
    <div>
      <header className="catalogue__header">
        <h1 className="page-title">Catalogue</h1>
        <p>Browse all games.</p>
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
      <StatusPanel icon={<EmptyShelfIcon />} title="No games here" headingLevel={2}>
        There are no games on this page of the catalogue.
      </StatusPanel>
    );
  }
  return (
    <List className="game-grid">
      {overviews.map((overview) => (
        <GameCard key={overview.id} overview={overview} />
      ))}
    </List>
  );
}
