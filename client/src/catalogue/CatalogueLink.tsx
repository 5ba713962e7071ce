import { Link } from '../router/Link';

/** The way on from a page where there is nothing more to do. */
export function CatalogueLink() {
  return (
    <Link className="sf-button" href="/">
      To the catalogue
    </Link>
  );
}
