import type { Side, Window } from './model';

export type SideName = 'read' | 'write';
export const SIDES: readonly SideName[] = ['read', 'write'];
export const SIDE_NAMES: Record<SideName, string> = { read: 'Reads', write: 'Writes' };

/** Reads or writes of a run so far. */
export interface Totals {
  readonly offered: number;
  readonly ok: number;
  readonly failed: number;
  readonly unsent: number;
  readonly pending: number;
  /** Seconds, over all that ended; null if none did. */
  readonly mean: number | null;
  /** The highest of the seconds' 99th percentiles. They are not averaged, which would be no percentile. */
  readonly highestP99: number | null;
  readonly failurePercent: number | null;
  readonly errors: Readonly<Record<string, number>>;
}

export function totals(windows: readonly Window[], side: SideName): Totals {
  const sides = windows.map((window) => window[side]);
  const sum = (count: (one: Side) => number) => sides.reduce((all, one) => all + count(one), 0);
  const offered = sum((one) => one.offered);
  const ended = sum((one) => (one.mean === null ? 0 : endedOf(one)));
  const time = sum((one) => (one.mean ?? 0) * endedOf(one));
  const lost = sum((one) => one.failed + one.unsent);
  return {
    offered,
    ok: sum((one) => one.ok),
    failed: sum((one) => one.failed),
    unsent: sum((one) => one.unsent),
    pending: sum((one) => one.pending),
    mean: ended === 0 ? null : time / ended,
    highestP99: highest(sides.map((one) => one.p99)),
    failurePercent: offered === 0 ? null : (100 * lost) / offered,
    errors: sumErrors(sides),
  };
}

/** Transactions that a window's mean is over: timed-out ones are among the failed. */
function endedOf(side: Side): number {
  return side.ok + side.failed;
}

export function highest(values: readonly (number | null)[]): number | null {
  const numbers = values.filter((value) => value !== null);
  return numbers.length === 0 ? null : Math.max(...numbers);
}

function sumErrors(sides: readonly Side[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { errors } of sides)
    for (const [kind, count] of Object.entries(errors)) sums[kind] = (sums[kind] ?? 0) + count;
  return sums;
}
