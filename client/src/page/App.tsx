import { useEffect, useRef } from 'react';
import { gameIdInPath } from '../api/gameId';
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
  const place = pathname === '/' ? `catalogue ${after ?? ''}` : `game ${pathname}`;
  useFocusOnArrival(place);
  return (
    <>
      <a className="skip-link" href={`#${MAIN_ID}`}>
        Skip to the content
      </a>
      <Header />
      <main id={MAIN_ID} className="main" tabIndex={-1}>
        <ErrorBoundary headingLevel={1} key={place}>
          {pathname === '/' ? (
            <CataloguePage after={after} />
          ) : (
            <GamePage id={gameIdInPath(pathname)} />
          )}
        </ErrorBoundary>
      </main>
      <Footer />
    </>
  );
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
