import { expect, test } from 'vitest';
import { day, explain } from './sentences';

test('a tooltip says share, count and span', () => {
  expect(explain({ total: 1204, positive: 1000 }, 'recent')).toBe(
    '83% of the 1,204 user reviews in the last 30 days are positive.',
  );
  expect(explain({ total: 2, positive: 1 }, 'all')).toBe(
    '50% of the 2 user reviews for this game are positive.',
  );
});

test('a single review is not a percentage', () => {
  expect(explain({ total: 1, positive: 1 }, 'all')).toBe(
    'The only user review for this game is positive.',
  );
  expect(explain({ total: 1, positive: 0 }, 'recent')).toBe(
    'The only user review in the last 30 days is negative.',
  );
});

test('a release date is its first ten characters', () => {
  expect(day('2016-02-26T00:00:00.000Z')).toBe('2016-02-26');
  expect(day('Spring')).toBe('Spring');
});
