import { ACTIVITIES_PATH, isActivitiesPath } from '../activities/path';
import { CartButton } from '../cart/CartButton';
import { Link } from '../router/Link';
import { usePathname } from '../router/location';
import { NumberSearch } from '../search/NumberSearch';

export function Header() {
  const pathname = usePathname();
  return (
    <header className="header">
      <div className="header__bar">
        <Link className="brand" href="/">
          <img src="/favicon.svg" alt="" width="32" height="32" />
          <span>Storefront</span>
        </Link>
        <nav className="header__nav" aria-label="Main">
          <Link href="/" aria-current={pathname === '/' ? 'page' : undefined}>
            Catalogue
          </Link>
          <Link
            href={ACTIVITIES_PATH}
            aria-current={isActivitiesPath(pathname) ? 'page' : undefined}
          >
            Activities
          </Link>
          <a href="/docs">API</a>
        </nav>
        <div className="header__tools">
          <NumberSearch />
          <CartButton />
        </div>
      </div>
      <div className="header__scallops" aria-hidden="true" />
    </header>
  );
}
