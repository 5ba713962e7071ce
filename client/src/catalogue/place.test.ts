import { expect, test } from 'vitest';
import { catalogueHref, trailOf } from './place';

test('a cursor is kept in the address, escaped', () => {
  expect(catalogueHref(null)).toBe('/');
  expect(catalogueHref('a+/=')).toBe('/?after=a%2B%2F%3D');
});

test('the trail is known on the first page and from the history entry', () => {
  expect(trailOf(null, null)).toEqual([]);
  expect(trailOf({ trail: [null, 'a'] }, 'b')).toEqual([null, 'a']);
});

test.each([[null], [{}], [{ trail: 'a' }], [{ trail: [1] }]])('%j is no trail', (state) => {
  expect(trailOf(state, 'b')).toBeNull();
});
