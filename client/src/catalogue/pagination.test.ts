import { expect, test } from 'vitest';
import { catalogueHref, previousCursors } from './pagination';

test('a cursor is kept in the address, escaped', () => {
  expect(catalogueHref(null)).toBe('/');
  expect(catalogueHref('a+/=')).toBe('/?after=a%2B%2F%3D');
});

test('the trail is known on the first page and from the history entry', () => {
  expect(previousCursors(null, null)).toEqual([]);
  expect(previousCursors({ previousCursors: [null, 'a'] }, 'b')).toEqual([null, 'a']);
});

test.each([[null], [{}], [{ previousCursors: 'a' }], [{ previousCursors: [1] }]])(
  '%j is no trail',
  (state) => {
    expect(previousCursors(state, 'b')).toBeNull();
  },
);
