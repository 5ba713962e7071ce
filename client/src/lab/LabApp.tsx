import { useEffect, useRef } from 'react';
import { Link } from '../router/Link';
import { usePathname } from '../router/location';
import { focusMain, MAIN_ID } from '../router/mainLandmark';
import { ErrorBoundary } from '../ui/ErrorBoundary';
import { ComparePage } from './ComparePage';
import { HomePage } from './HomePage';
import { parseRoute, type Route } from './path';
import { ReplayPage } from './ReplayPage';
import { RunPage } from './RunPage';
import { ChartColoursProvider, THEMES, type Theme, useTheme, useThemeColours } from './theme';

/** The header and footer around every page of the lab. */
export function LabApp() {
  const pathname = usePathname();
  const [theme, setTheme] = useTheme();
  const colours = useThemeColours(theme);
  useFocusOnNavigation(pathname);
  return (
    <ChartColoursProvider value={colours}>
      <a className="skip-link" href={`#${MAIN_ID}`}>
        Skip to content
      </a>
      <header className="header">
        <div className="header__bar">
          <Link className="brand" href="/">
            <img src="/favicon.svg" alt="" width="32" height="32" />
            <span>Storefront lab</span>
          </Link>
          <ThemeChoice theme={theme} onChange={setTheme} />
        </div>
      </header>
      <main id={MAIN_ID} className="main" tabIndex={-1}>
        <ErrorBoundary headingLevel={1} key={pathname}>
          <CurrentPage route={parseRoute(pathname)} />
        </ErrorBoundary>
      </main>
    </ChartColoursProvider>
  );
}

function CurrentPage({ route }: { route: Route }) {
  switch (route.page) {
    case 'home':
      return <HomePage />;
    case 'run':
      return <RunPage ids={route.ids} />;
    case 'replay':
      return <ReplayPage keys={route.keys} patterns={route.patterns} />;
    case 'compare':
      return <ComparePage a={route.a} b={route.b} />;
    case 'missing':
      return <MissingPage />;
  }
}

function MissingPage() {
  return (
    <div className="lab-page">
      <h1 className="page-title">Page not found</h1>
      <p>
        <Link className="sf-link" href="/">
          All runs
        </Link>
      </p>
    </div>
  );
}

const THEME_NAMES: Record<Theme, string> = { system: 'System theme', light: 'Light', dark: 'Dark' };

function ThemeChoice({ theme, onChange }: { theme: Theme; onChange: (theme: Theme) => void }) {
  return (
    <label className="theme">
      <span className="sf-visually-hidden">Theme</span>
      <select
        value={theme}
        onChange={(event) => onChange(THEMES.find((one) => one === event.target.value) ?? 'system')}
      >
        {THEMES.map((one) => (
          <option key={one} value={one}>
            {THEME_NAMES[one]}
          </option>
        ))}
      </select>
    </label>
  );
}

/** Moves the focus to the new page's content, as a full page load would. */
function useFocusOnNavigation(pathname: string): void {
  const previous = useRef(pathname);
  useEffect(() => {
    if (previous.current === pathname) return;
    previous.current = pathname;
    focusMain();
  }, [pathname]);
}
