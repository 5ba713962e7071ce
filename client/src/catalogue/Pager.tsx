import { usePrefetchCatalogue } from '../api/queries';
import { Link } from '../router/Link';
import { type Cursors, catalogueHref } from './pagination';

interface Props {
  after: string | null;
  next: string | null;
  previous: Cursors | null;
}

/** Links to the previous and the next page of the catalogue. */
export function Pager({ after, next, previous }: Props) {
  const prefetch = usePrefetchCatalogue();
  if (after === null && next === null) return null;
  const prefetchNext = () => {
    if (next !== null) prefetch(next);
  };
  return (
    <nav className="pager" aria-label="Catalogue pages">
      <BackLink after={after} previous={previous} />
      {previous !== null && <span className="pager__page">Page {previous.length + 1}</span>}
      {next === null ? (
        <span className="pager__last">Last page</span>
      ) : (
        <Link
          className="sf-button"
          rel="next"
          href={catalogueHref(next)}
          state={{ previousCursors: previous && [...previous, after] }}
          onPointerEnter={prefetchNext}
          onFocus={prefetchNext}
        >
          Next <span aria-hidden="true">→</span>
        </Link>
      )}
    </nav>
  );
}

function BackLink({ after, previous }: Pick<Props, 'after' | 'previous'>) {
  if (after === null) return <span />;
  if (previous === null) return <FirstPageLink />;
  return (
    <Link
      className="sf-button sf-button--secondary"
      rel="prev"
      href={catalogueHref(previous.at(-1) ?? null)}
      state={{ previousCursors: previous.slice(0, -1) }}
    >
      <span aria-hidden="true">←</span> Previous
    </Link>
  );
}

export function FirstPageLink() {
  return (
    <Link className="sf-button sf-button--secondary" href="/">
      <span aria-hidden="true">⇤</span> First page
    </Link>
  );
}
