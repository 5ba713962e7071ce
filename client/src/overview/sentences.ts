import { percentPositive, type Tally } from './sentiment';

const NUMBER = new Intl.NumberFormat('en-US');

export type Span = 'recent' | 'all';

export function count(total: number): string {
  return NUMBER.format(total);
}

/** What a review line's tooltip says; the tally has at least one review. */
export function explain(tally: Tally, span: Span): string {
  const where = span === 'recent' ? 'in the last 30 days' : 'for this game';
  if (tally.total === 1) {
    return `The only user review ${where} is ${tally.positive === 1 ? 'positive' : 'negative'}.`;
  }
  return `${percentPositive(tally)}% of the ${count(tally.total)} user reviews ${where} are positive.`;
}

/** The day of a stored date such as `2016-02-26T00:00:00.000Z`. */
export function day(date: string): string {
  return date.slice(0, 10);
}
