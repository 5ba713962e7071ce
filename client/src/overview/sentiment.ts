import type { Review } from '../api/reviews';

const RECENT_MS = 30 * 24 * 60 * 60 * 1000;

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

/** The reviews of the last 30 days. No upper bound: a sister's clock may run ahead of ours. */
export function recentOf(reviews: readonly Review[], now: number): readonly Review[] {
  return reviews.filter((review) => review.posted >= now - RECENT_MS);
}

/** Null without reviews. Compares whole numbers, so that the edges are exact. */
export function sentimentOf({ total, positive }: Tally): Sentiment | null {
  if (total === 0) return null;
  if (positive * 4 >= total * 3) return { label: 'Overwhelmingly Positive', tone: 'best' };
  if (positive * 2 >= total) return { label: 'Very Positive', tone: 'good' };
  if (positive * 4 > total) return { label: 'Very Negative', tone: 'bad' };
  return { label: 'Overwhelmingly Negative', tone: 'worst' };
}

/** Rounded down: 74.9 % must not read "75%" beside the words for less than 75 %. */
export function percentPositive({ total, positive }: Tally): number {
  return Math.floor((positive * 100) / total);
}
