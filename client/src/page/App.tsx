import { useEffect, useRef } from 'react';
import { ActivitiesPage } from '../activities/ActivitiesPage';
import { isActivitiesPath } from '../activities/path';
import { gameIdInPath } from '../api/gameId';
import { CartPage } from '../cart/CartPage';
import { MessageBar } from '../cart/MessageBar';
import { isCartPath } from '../cart/path';
import { CataloguePage } from '../catalogue/CataloguePage';
import { GamePage } from '../game/GamePage';
import { usePathname, useQueryParam } from '../router/location';
import { focusMain, MAIN_ID } from '../router/mainLandmark';
import { ErrorBoundary } from '../ui/ErrorBoundary';
import { Footer } from './Footer';
import { Header } from './Header';
import { NotFoundPage } from './NotFoundPage';

/** The header, footer and messages around every page of the store. */
export function App() {
  const pathname = usePathname();
  const after = useQueryParam('after');
  const pageKey = pathname === '/' ? `catalogue ${after ?? ''}` : pathname;
  useFocusOnNavigation(pageKey);
  return (
    <>
      <a className="skip-link" href={`#${MAIN_ID}`}>
        Skip to content
      </a>
      <Header />
      <main id={MAIN_ID} className="main" tabIndex={-1}>
        <ErrorBoundary headingLevel={1} key={pageKey}>
          <CurrentPage pathname={pathname} after={after} />
        </ErrorBoundary>
      </main>
      <Footer />
      <MessageBar />
    </>
  );
}

function CurrentPage({ pathname, after }: { pathname: string; after: string | null }) {
  if (pathname === '/') return <CataloguePage after={after} />;
  if (isCartPath(pathname)) return <CartPage />;
  if (isActivitiesPath(pathname)) return <ActivitiesPage />;
  const id = gameIdInPath(pathname);
  return id === null ? <NotFoundPage /> : <GamePage id={id} />;
}

/** Moves the focus to the new page's content, as a full page load would. */
function useFocusOnNavigation(pageKey: string): void {
  const previous = useRef(pageKey);
  useEffect(() => {
    if (previous.current === pageKey) return;
    previous.current = pageKey;
    focusMain();
  }, [pageKey]);
}
