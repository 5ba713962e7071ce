import { formatPercent, formatTime } from './format';
import type { Side, Window } from './model';
import { highest, SIDES } from './totals';

/** What the charts of a pane show. */
export interface Measure {
  readonly id: 'mean' | 'p99' | 'failures';
  readonly title: string;
  /** What one value is, for tables and screen readers. */
  readonly noun: string;
  readonly value: (side: Side) => number | null;
  readonly format: (value: number | null) => string;
  /** Of the label beside the highest value of a run. */
  readonly isTime: boolean;
}

export const MEASURES: readonly Measure[] = [
  {
    id: 'mean',
    title: 'Mean time',
    noun: 'mean time',
    value: (side) => side.mean,
    format: formatTime,
    isTime: true,
  },
  {
    id: 'p99',
    title: '99th percentile',
    noun: '99th percentile of times',
    value: (side) => side.p99,
    format: formatTime,
    isTime: true,
  },
  {
    id: 'failures',
    title: 'Failure share',
    noun: 'share of transactions that failed or were not sent',
    value: (side) => (side.offered === 0 ? null : side.failurePercent),
    format: formatPercent,
    isTime: false,
  },
];

/** The lowest and the highest value of an axis. */
export type Range = readonly [number, number];

export type TimeScale = 'linear' | 'log';

/** One axis for all panes of a measure, so that heights can be compared. */
export function sharedRange(
  runs: readonly (readonly Window[])[],
  measure: Measure,
  scale: TimeScale,
): Range {
  const values = runs.flatMap((windows) =>
    windows.flatMap((window) => SIDES.map((side) => measure.value(window[side]))),
  );
  const top = highest(values) ?? 0;
  if (!measure.isTime) return [0, top <= 4 ? 4 : Math.min(100, roundUp(top))];
  if (scale === 'linear') return [0, top === 0 ? 0.01 : roundUp(top)];
  const positive = values.filter((value) => value !== null && value > 0) as number[];
  const bottom = positive.length === 0 ? 0.001 : Math.min(...positive);
  const low = 10 ** Math.floor(Math.log10(bottom));
  return [low, Math.max(10 * low, 10 ** Math.ceil(Math.log10(top || 0.01)))];
}

/** The values that a linear axis names: even steps with short numbers. */
export function linearTicks([, top]: Range, isTime: boolean): number[] {
  const leading = Math.round((top / 10 ** Math.floor(Math.log10(top) + 1e-9)) * 10) / 10;
  const steps = isTime ? (STEPS.get(leading) ?? 4) : 2;
  return Array.from({ length: steps + 1 }, (_, step) => (top * step) / steps);
}

/** The powers of ten of a logarithmic axis. */
export function logTicks([bottom, top]: Range): number[] {
  const first = Math.round(Math.log10(bottom));
  const last = Math.round(Math.log10(top));
  return Array.from({ length: last - first + 1 }, (_, index) => 10 ** (first + index));
}

/** Where an axis may end, times a power of ten, and into how many steps it is divided then. */
const STEPS = new Map([
  [1, 4],
  [1.5, 3],
  [2, 4],
  [3, 3],
  [4, 4],
  [5, 5],
  [6, 3],
  [8, 4],
]);

/** The next end of an axis, with a little room above the line. */
function roundUp(value: number): number {
  const needed = value * 1.05;
  const power = 10 ** Math.floor(Math.log10(needed));
  const step = [...STEPS.keys(), 10].find((one) => one * power >= needed) ?? 10;
  return step * power;
}
