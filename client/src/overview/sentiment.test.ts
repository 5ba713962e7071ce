import { describe, expect, test } from 'vitest';
import type { Review } from '../api/reviews';
import { percentPositive, recentOf, sentimentOf, tally } from './sentiment';

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

  test('is nothing without reviews', () => {
    expect(sentimentOf({ positive: 0, total: 0 })).toBeNull();
  });
});

test('the percentage never rounds up over an edge', () => {
  expect(percentPositive({ positive: 7499, total: 10_000 })).toBe(74);
  expect(percentPositive({ positive: 4999, total: 10_000 })).toBe(49);
});

test('recent reviews are those of the last 30 days, to the millisecond', () => {
  const at = (posted: number): Review => ({ recommended: true, posted });
  const reviews = [at(NOW), at(NOW - 30 * DAY), at(NOW - 30 * DAY - 1), at(NOW + DAY)];
  expect(recentOf(reviews, NOW)).toEqual([at(NOW), at(NOW - 30 * DAY), at(NOW + DAY)]);
});

test('a tally counts the recommended ones', () => {
  const reviews = [true, false, true].map((recommended) => ({ recommended, posted: NOW }));
  expect(tally(reviews)).toEqual({ total: 3, positive: 2 });
});
