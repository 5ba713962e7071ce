import { createContext, useContext, useEffect, useState } from 'react';

/** Follows the system until the visitor chooses. */
export const THEMES = ['system', 'light', 'dark'] as const;
export type Theme = (typeof THEMES)[number];

const KEY = 'storefront-lab-theme';

/** The theme of the page; the choice is kept in the browser. */
export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useState(storedTheme);
  useEffect(() => {
    document.documentElement.dataset.theme = theme;
    try {
      window.localStorage.setItem(KEY, theme);
    } catch {
      // A browser without storage forgets the choice.
    }
  }, [theme]);
  return [theme, setTheme];
}

function storedTheme(): Theme {
  try {
    const stored = window.localStorage.getItem(KEY);
    return THEMES.find((theme) => theme === stored) ?? 'system';
  } catch {
    return 'system';
  }
}

/** Colours as the canvas needs them: computed, not as variables. */
export interface ChartColours {
  readonly read: string;
  readonly write: string;
  readonly text: string;
  readonly grid: string;
  readonly fault: string;
  readonly faultFill: string;
  readonly surface: string;
}

const VARIABLES: Record<keyof ChartColours, string> = {
  read: '--lab-read',
  write: '--lab-write',
  text: '--sf-muted',
  grid: '--lab-grid',
  fault: '--lab-fault',
  faultFill: '--lab-fault-fill',
  surface: '--sf-surface',
};

const ChartColoursContext = createContext<ChartColours | null>(null);
export const ChartColoursProvider = ChartColoursContext.Provider;

export function useChartColours(): ChartColours {
  const colours = useContext(ChartColoursContext);
  if (colours === null) throw new Error('no ChartColoursProvider above this component');
  return colours;
}

/** The colours of the theme in use, read again when the page or the system changes it. */
export function useThemeColours(theme: Theme): ChartColours {
  const [colours, setColours] = useState(readColours);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme changes what is read
  useEffect(() => {
    const read = () => setColours(readColours());
    read();
    const system = window.matchMedia?.('(prefers-color-scheme: dark)');
    system?.addEventListener('change', read);
    return () => system?.removeEventListener('change', read);
  }, [theme]);
  return colours;
}

function readColours(): ChartColours {
  const probe = document.createElement('span');
  document.body.append(probe);
  const read = (variable: string) => {
    probe.style.color = `var(${variable})`;
    return getComputedStyle(probe).color;
  };
  const entries = Object.entries(VARIABLES).map(([name, variable]) => [name, read(variable)]);
  probe.remove();
  return Object.fromEntries(entries) as ChartColours;
}
