import type { Review } from '../api/reviews';
import { formatNumber } from '../ui/format';

const RECENT_MS = 30 * 24 * 60 * 60 * 1000;

/** Which reviews a tally counts: those of the last 30 days, or all. */
export type Period = 'recent' | 'all';

export type Tone = 'best' | 'good' | 'bad' | 'worst';

export interface Sentiment {
  readonly label: string;
  readonly tone: Tone;
}

export interface Tally {
  readonly total: number;
  readonly positive: number;
}

export function tally(reviews: readonly Review[]): Tally {
  return {
    total: reviews.length,
    positive: reviews.filter((review) => review.recommended).length,
  };
}

/** The reviews of the last 30 days. No upper bound: the review service's clock may be ahead. */
export function recentOf(reviews: readonly Review[], now: number): readonly Review[] {
  return reviews.filter((review) => review.posted >= now - RECENT_MS);
}

/** Null without reviews. Compares integers, because a rounded share could cross a threshold. */
export function sentimentOf({ total, positive }: Tally): Sentiment | null {
  if (total === 0) return null;
  if (positive * 4 >= total * 3) return { label: 'Overwhelmingly Positive', tone: 'best' };
  if (positive * 2 >= total) return { label: 'Very Positive', tone: 'good' };
  if (positive * 4 > total) return { label: 'Very Negative', tone: 'bad' };
  return { label: 'Overwhelmingly Negative', tone: 'worst' };
}

/** Rounded down: "75%" beside the label for less than 75 % would be a contradiction. */
export function percentPositive({ total, positive }: Tally): number {
  return Math.floor((positive * 100) / total);
}

/** The tooltip of a review line; the tally has at least one review. */
export function describeTally(tally: Tally, period: Period): string {
  const where = period === 'recent' ? 'in the last 30 days' : 'for this game';
  if (tally.total === 1) {
    return `The only user review ${where} is ${tally.positive === 1 ? 'positive' : 'negative'}.`;
  }
  return `${percentPositive(tally)}% of the ${formatNumber(tally.total)} user reviews ${where} are positive.`;
}
