import { formatNumber } from '../ui/format';
import type { LabInfo } from './model';

/** `100`, or `100, 600, 300, 600` for rates that repeat. */
export function describeRates(rates: readonly number[]): string {
  return rates.map((rate) => formatNumber(rate)).join(', ');
}

/** The highest rate of all patterns, which all pictures share. */
export function highestRate({ patterns }: LabInfo): number {
  return Math.max(1, ...Object.values(patterns).flat());
}

/** The mean rate of a pattern: what a whole number of its repetitions offers a second. */
export function meanRate(rates: readonly number[]): number {
  return rates.reduce((sum, rate) => sum + rate, 0) / Math.max(1, rates.length);
}
