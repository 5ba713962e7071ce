import { describe, expect, test } from 'vitest';
import { errorKindOf, fetchMock, respondWith } from './fetchMock';
import { createStoreApi } from './store';

const GAME = {
  game_id: 1,
  game_name: 'Stardew_Valley',
  description: 'A farm.',
  release_date: '2016-02-26T00:00:00.000Z',
  developer: 'ConcernedApe',
  publisher: 'ConcernedApe',
  tags: ['Farming'],
};

const store = createStoreApi('http://store.example/');
const { signal } = new AbortController();
describe('an overview', () => {
  test('is parsed from an array of one, with underscores as spaces', async () => {
    respondWith([GAME]);
    expect(await store.overview(1, signal)).toMatchObject({ id: 1, name: 'Stardew Valley' });
    expect(fetchMock.mock.calls[0]?.[0]).toBe('http://store.example/api/overview/1');
  });

  test.each([
    ['an object', GAME],
    ['an empty array', []],
    ['two', [GAME, GAME]],
    ['a missing field', [{ ...GAME, developer: undefined }]],
    ['tags that are null', [{ ...GAME, tags: null }]],
    ['tags of numbers', [{ ...GAME, tags: [1] }]],
    ['an id that is not an integer', [{ ...GAME, game_id: 1.5 }]],
    ['HTML', '<html>'],
  ])('%s is malformed', async (_, body) => {
    respondWith(body);
    expect(await errorKindOf(store.overview(1, signal))).toBe('malformed');
  });

  test.each([
    [404, 'missing'],
    [400, 'refused'],
    [429, 'unreachable'],
    [500, 'failed'],
    [502, 'unreachable'],
    [503, 'unreachable'],
  ])('status %i is %s', async (status, kind) => {
    respondWith('Not Found', status);
    expect(await errorKindOf(store.overview(1, signal))).toBe(kind);
  });

  test('a network error is unreachable', async () => {
    fetchMock.mockRejectedValueOnce(new TypeError('fetch failed'));
    expect(await errorKindOf(store.overview(1, signal))).toBe('unreachable');
  });
});

test('a catalogue page has a cursor unless it is the last', async () => {
  respondWith({ overviews: [GAME], next: 'a+b' });
  expect((await store.catalogue(null, signal)).next).toBe('a+b');
  respondWith({ overviews: [], next: null });
  expect(await store.catalogue('a+b', signal)).toEqual({ overviews: [], next: null });
  expect(fetchMock.mock.calls[1]?.[0]).toBe(
    'http://store.example/api/overview?limit=24&after=a%2Bb',
  );
});

test('a relative image URL is resolved against the API’s base', async () => {
  respondWith('"/banners/1.svg"');
  expect(await store.image(1, signal)).toBe('http://store.example/banners/1.svg');
  respondWith('"https://cdn.example/1.jpg"');
  expect(await store.image(1, signal)).toBe('https://cdn.example/1.jpg');
  respondWith('""');
  expect(await errorKindOf(store.image(1, signal))).toBe('malformed');
});

test('a review has a recommendation and a date; a game without reviews has an empty list', async () => {
  respondWith([{ recommended: true, posted: '2024-01-01T00:00:00Z', author: 'x' }]);
  expect(await store.reviews(1, signal)).toEqual([
    { recommended: true, posted: 1_704_067_200_000 },
  ]);
  respondWith([{ recommended: 'yes', posted: '2024-01-01' }]);
  expect(await errorKindOf(store.reviews(1, signal))).toBe('malformed');
  respondWith([{ recommended: true, posted: 'yesterday' }]);
  expect(await errorKindOf(store.reviews(1, signal))).toBe('malformed');
  respondWith('Not Found', 404);
  expect(await store.reviews(1, signal)).toEqual([]);
});
