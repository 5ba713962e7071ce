import { asArray, asBoolean, asFields, asTime } from './guards';

export interface Review {
  readonly recommended: boolean;
  /** Milliseconds since the epoch. */
  readonly posted: number;
}

export function parseReviews(response: unknown): readonly Review[] {
  return asArray(response, 'reviews').map((value) => {
    const fields = asFields(value, 'review');
    return {
      recommended: asBoolean(fields.recommended, 'recommended'),
      posted: asTime(fields.posted, 'posted'),
    };
  });
}
