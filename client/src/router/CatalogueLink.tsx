import { Link } from './Link';

/** The next step offered on a page where there is nothing left to do. */
export function CatalogueLink() {
  return (
    <Link className="sf-button" href="/">
      Browse all games
    </Link>
  );
}
