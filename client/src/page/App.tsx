import { useEffect, useRef } from 'react';
import { gameIdInPath } from '../api/gameId';
import { CartPage } from '../cart/CartPage';
import { MessageBar } from '../cart/MessageBar';
import { isCart } from '../cart/place';
import { CataloguePage } from '../catalogue/CataloguePage';
import { GamePage } from '../game/GamePage';
import { usePathname, useQueryParam } from '../router/location';
import { ErrorBoundary } from '../ui/ErrorBoundary';
import { Footer } from './Footer';
import { Header } from './Header';
import { focusMain, MAIN_ID } from './main-landmark';

/** The frame around every page of the store. */
export function App() {
  const pathname = usePathname();
  const after = useQueryParam('after');
  const place = pathname === '/' ? `catalogue ${after ?? ''}` : pathname;
  useFocusOnArrival(place);
  return (
    <>
      <a className="skip-link" href={`#${MAIN_ID}`}>
        Skip to the content
      </a>
      <Header />
      <main id={MAIN_ID} className="main" tabIndex={-1}>
        <ErrorBoundary headingLevel={1} key={place}>
          <Place pathname={pathname} after={after} />
        </ErrorBoundary>
      </main>
      <Footer />
      <MessageBar />
    </>
  );
}

function Place({ pathname, after }: { pathname: string; after: string | null }) {
  if (pathname === '/') return <CataloguePage after={after} />;
  if (isCart(pathname)) return <CartPage />;
  return <GamePage id={gameIdInPath(pathname)} />;
}

/** A page change within the document does what a document's load does: reading starts at its top. */
function useFocusOnArrival(place: string): void {
  const left = useRef(place);
  useEffect(() => {
    if (left.current === place) return;
    left.current = place;
    focusMain();
  }, [place]);
}
