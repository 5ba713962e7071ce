import type { ChartLine } from './ChartFigure';
import type { Window } from './model';
import { SIDE_NAMES, SIDES } from './totals';

/** The windows before a position of a replay; null: all of them. */
export function upTo(windows: readonly Window[], position: number | null): readonly Window[] {
  return position === null ? windows : windows.filter(({ second }) => second < position);
}

/** The lines of one run. */
export function linesOf(windows: readonly Window[]): readonly ChartLine[] {
  return SIDES.map((side) => ({ label: SIDE_NAMES[side], side, dashed: false, windows }));
}

/** The lines of two runs, of which either may lack this database. */
export function linesOfTwo(
  a: readonly Window[] | null,
  b: readonly Window[] | null,
): readonly ChartLine[] {
  const of = (name: string, windows: readonly Window[] | null, dashed: boolean) =>
    windows === null
      ? []
      : SIDES.map((side) => ({
          label: `${name} ${SIDE_NAMES[side].toLowerCase()}`,
          side,
          dashed,
          windows,
        }));
  return [...of('A', a, false), ...of('B', b, true)];
}
