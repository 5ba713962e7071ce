import { expect, test } from 'vitest';
import { catalogueHref, previousCursors } from './pagination';

test('a cursor is escaped in the URL', () => {
  expect(catalogueHref(null)).toBe('/');
  expect(catalogueHref('a+/=')).toBe('/?after=a%2B%2F%3D');
});

test('previous cursors come from the history entry; the first page has none', () => {
  expect(previousCursors(null, null)).toEqual([]);
  expect(previousCursors({ previousCursors: [null, 'a'] }, 'b')).toEqual([null, 'a']);
});

test.each([[null], [{}], [{ previousCursors: 'a' }], [{ previousCursors: [1] }]])(
  '%j holds no previous cursors',
  (state) => {
    expect(previousCursors(state, 'b')).toBeNull();
  },
);
