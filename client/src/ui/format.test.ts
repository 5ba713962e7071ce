import { expect, test } from 'vitest';
import { formatDate, plural } from './format';

test('a count agrees with its noun', () => {
  expect(plural(1, 'game')).toBe('1 game');
  expect(plural(1204, 'game')).toBe('1,204 games');
  expect(plural(0, 'copy', 'copies')).toBe('0 copies');
});

test('a release date is its first ten characters', () => {
  expect(formatDate('2016-02-26T00:00:00.000Z')).toBe('2016-02-26');
  expect(formatDate('Spring')).toBe('Spring');
});
