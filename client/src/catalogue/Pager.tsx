import { usePrefetchCatalogue } from '../api/queries';
import { Link } from '../router/Link';
import { catalogueHref, type Trail } from './place';

interface Props {
  after: string | null;
  next: string | null;
  trail: Trail | null;
}

/** Leafing back and forth. */
export function Pager({ after, next, trail }: Props) {
  const prefetch = usePrefetchCatalogue();
  if (after === null && next === null) return null;
  const prepare = () => {
    if (next !== null) prefetch(next);
  };
  return (
    <nav className="pager" aria-label="Pages of the catalogue">
      <Back after={after} trail={trail} />
      {trail !== null && <span className="pager__page">Page {trail.length + 1}</span>}
      {next === null ? (
        <span className="pager__end">The end</span>
      ) : (
        <Link
          className="sf-button pager__next"
          rel="next"
          href={catalogueHref(next)}
          state={{ trail: trail && [...trail, after] }}
          onPointerEnter={prepare}
          onFocus={prepare}
        >
          Next <span aria-hidden="true">→</span>
        </Link>
      )}
    </nav>
  );
}

function Back({ after, trail }: Pick<Props, 'after' | 'trail'>) {
  if (after === null) return <span />;
  if (trail === null) {
    return (
      <Link className="sf-button sf-button--quiet" href="/">
        <span aria-hidden="true">⇤</span> First page
      </Link>
    );
  }
  return (
    <Link
      className="sf-button sf-button--quiet"
      rel="prev"
      href={catalogueHref(trail.at(-1) ?? null)}
      state={{ trail: trail.slice(0, -1) }}
    >
      <span aria-hidden="true">←</span> Previous
    </Link>
  );
}
