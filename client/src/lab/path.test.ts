import { expect, test } from 'vitest';
import { compareHref, parseRoute, replayHref, runHref } from './path';

test('each address leads back to what it was made of', () => {
  expect(parseRoute('/')).toEqual({ page: 'home' });
  expect(parseRoute(runHref(['a', 'b']))).toEqual({ page: 'run', ids: ['a', 'b'] });
  expect(parseRoute(replayHref(['sql-2-3'], '1-2'))).toEqual({
    page: 'replay',
    keys: ['sql-2-3'],
    patterns: '1-2',
  });
  expect(parseRoute(compareHref(['a'], ['b', 'c']))).toEqual({
    page: 'compare',
    a: ['a'],
    b: ['b', 'c'],
  });
});

test.each(['/run', '/run/a/b', '/replay/sql-1-1/4-1', '/compare/a', '/x/y', '/a/b/c/d'])(
  '%s is no page',
  (pathname) => {
    expect(parseRoute(pathname)).toEqual({ page: 'missing' });
  },
);
