import { describe, expect, test } from 'vitest';
import type { Review } from '../api/reviews';
import { describeTally, percentPositive, recentOf, sentimentOf, tally } from './sentiment';

const DAY = 24 * 60 * 60 * 1000;
const NOW = Date.parse('2024-06-30T12:00:00Z');

describe('sentimentOf', () => {
  test.each([
    [100, 100, 'Overwhelmingly Positive'],
    [75, 100, 'Overwhelmingly Positive'],
    [7499, 10_000, 'Very Positive'],
    [50, 100, 'Very Positive'],
    [1, 2, 'Very Positive'],
    [4999, 10_000, 'Very Negative'],
    [2501, 10_000, 'Very Negative'],
    [25, 100, 'Overwhelmingly Negative'],
    [1, 4, 'Overwhelmingly Negative'],
    [0, 1, 'Overwhelmingly Negative'],
  ])('%i positive of %i reads %s', (positive, total, label) => {
    expect(sentimentOf({ positive, total })?.label).toBe(label);
  });

  test('is null without reviews', () => {
    expect(sentimentOf({ positive: 0, total: 0 })).toBeNull();
  });
});

test('the percentage is never rounded up over a threshold', () => {
  expect(percentPositive({ positive: 7499, total: 10_000 })).toBe(74);
  expect(percentPositive({ positive: 4999, total: 10_000 })).toBe(49);
});

test('recent reviews are those of the last 30 days, exact to the millisecond', () => {
  const at = (posted: number): Review => ({ recommended: true, posted });
  const reviews = [at(NOW), at(NOW - 30 * DAY), at(NOW - 30 * DAY - 1), at(NOW + DAY)];
  expect(recentOf(reviews, NOW)).toEqual([at(NOW), at(NOW - 30 * DAY), at(NOW + DAY)]);
});

test('a tally counts recommended reviews as positive', () => {
  const reviews = [true, false, true].map((recommended) => ({ recommended, posted: NOW }));
  expect(tally(reviews)).toEqual({ total: 3, positive: 2 });
});

test('a tooltip gives the share, the count and the period', () => {
  expect(describeTally({ total: 1204, positive: 1000 }, 'recent')).toBe(
    '83% of the 1,204 user reviews in the last 30 days are positive.',
  );
  expect(describeTally({ total: 2, positive: 1 }, 'all')).toBe(
    '50% of the 2 user reviews for this game are positive.',
  );
});

test('a single review is not given as a percentage', () => {
  expect(describeTally({ total: 1, positive: 1 }, 'all')).toBe(
    'The only user review for this game is positive.',
  );
  expect(describeTally({ total: 1, positive: 0 }, 'recent')).toBe(
    'The only user review in the last 30 days is negative.',
  );
});
