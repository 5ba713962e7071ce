import { QueryClientProvider } from '@tanstack/react-query';
import { createRoot } from 'react-dom/client';
import { gameIdInPath } from '../api/gameId';
import { newQueryClient, StoreApiProvider } from '../api/queries';
import { createStoreApi } from '../api/store';
import { GameOverview } from '../overview/GameOverview';
import { MissingGame } from '../overview/MissingGame';
import { ErrorBoundary } from '../ui/ErrorBoundary';
import { bundleStyles } from './styles';

/** Marks a mounted container, because some pages load the script twice. */
const MOUNTED = 'storefrontMounted';

/**
 * Shows the overview of the game in `pathname` inside `container`, replacing its children. A shadow
 * root isolates the styles of the overview and of the host page from each other.
 */
export function mountOverview(container: HTMLElement, base: string, pathname: string): void {
  if (MOUNTED in container.dataset) return;
  container.dataset[MOUNTED] = '';
  const host = document.createElement('div');
  const shadow = host.attachShadow({ mode: 'open' });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(bundleStyles());
  // Not a <style> element, because the host page's content security policy may forbid it.
  shadow.adoptedStyleSheets = [sheet];
  const root = document.createElement('div');
  root.className = 'sf-root';
  root.lang = 'en';
  shadow.append(root);
  container.replaceChildren(host);

  const id = gameIdInPath(pathname);
  createRoot(root).render(
    <QueryClientProvider client={newQueryClient()}>
      <StoreApiProvider value={createStoreApi(base)}>
        <ErrorBoundary headingLevel={2}>
          {id === null ? (
            <MissingGame id={null} headingLevel={2} />
          ) : (
            <GameOverview id={id} headingLevel={2} />
          )}
        </ErrorBoundary>
      </StoreApiProvider>
    </QueryClientProvider>,
  );
}
