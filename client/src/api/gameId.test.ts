import { expect, test } from 'vitest';
import { gameIdInPath, parseGameId } from './gameId';

test.each([
  ['1', 1],
  ['007', 7],
  ['-5', -5],
  ['-0', 0],
  ['2147483647', 2_147_483_647],
  ['2147483648', null],
  ['-2147483649', null],
  ['1.0', null],
  ['1e3', null],
  ['0x10', null],
  ['٣', null],
  ['', null],
  ['abc', null],
])('%s is %s', (text, id) => {
  expect(parseGameId(text)).toBe(id);
});

test.each([
  ['/1', 1],
  ['/1/', 1],
  ['/1/reviews', 1],
  ['/', null],
  ['/games/1', null],
])('the page %s shows game %s', (pathname, id) => {
  expect(gameIdInPath(pathname)).toBe(id);
});
