import { Link } from '../router/Link';
import { explain } from './explain';

/** In place of a page that could not be loaded. */
export function Problem({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  return (
    <div className="lab-page" role="alert">
      <h1 className="page-title">This could not be loaded</h1>
      <p>{explain(error)}</p>
      <p className="run__actions">
        <button type="button" className="sf-button" onClick={onRetry}>
          Try again
        </button>
        <Link className="sf-button sf-button--secondary" href="/">
          All runs
        </Link>
      </p>
    </div>
  );
}
