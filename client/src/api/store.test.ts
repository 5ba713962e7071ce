import { describe, expect, test } from 'vitest';
import { answer, failureOf, fetched } from './answers';
import { connectStore } from './store';

const GAME = {
  game_id: 1,
  game_name: 'Stardew_Valley',
  description: 'A farm.',
  release_date: '2016-02-26T00:00:00.000Z',
  developer: 'ConcernedApe',
  publisher: 'ConcernedApe',
  tags: ['Farming'],
};

const store = connectStore('http://store.example/');
const { signal } = new AbortController();
describe('an overview', () => {
  test('comes as an array of one, underscores as spaces', async () => {
    answer([GAME]);
    expect(await store.overview(1, signal)).toMatchObject({ id: 1, name: 'Stardew Valley' });
    expect(fetched.mock.calls[0]?.[0]).toBe('http://store.example/api/overview/1');
  });

  test.each([
    ['an object', GAME],
    ['an empty array', []],
    ['two', [GAME, GAME]],
    ['a missing field', [{ ...GAME, developer: undefined }]],
    ['tags that are null', [{ ...GAME, tags: null }]],
    ['tags of numbers', [{ ...GAME, tags: [1] }]],
    ['an id that is no integer', [{ ...GAME, game_id: 1.5 }]],
    ['no JSON', '<html>'],
  ])('%s is malformed', async (_, body) => {
    answer(body);
    expect(await failureOf(store.overview(1, signal))).toBe('malformed');
  });

  test.each([
    [404, 'missing'],
    [400, 'refused'],
    [429, 'unreachable'],
    [500, 'failed'],
    [502, 'unreachable'],
    [503, 'unreachable'],
  ])('status %i reads %s', async (status, kind) => {
    answer('Not Found', status);
    expect(await failureOf(store.overview(1, signal))).toBe(kind);
  });

  test('no answer reads unreachable', async () => {
    fetched.mockRejectedValueOnce(new TypeError('fetch failed'));
    expect(await failureOf(store.overview(1, signal))).toBe('unreachable');
  });
});

test('a catalogue page has a cursor or is the last', async () => {
  answer({ overviews: [GAME], next: 'a+b' });
  expect((await store.catalogue(null, signal)).next).toBe('a+b');
  answer({ overviews: [], next: null });
  expect(await store.catalogue('a+b', signal)).toEqual({ overviews: [], next: null });
  expect(fetched.mock.calls[1]?.[0]).toBe('http://store.example/api/overview?limit=24&after=a%2Bb');
});

test('an image is found from the API’s address', async () => {
  answer('"/banners/1.svg"');
  expect(await store.image(1, signal)).toBe('http://store.example/banners/1.svg');
  answer('"https://cdn.example/1.jpg"');
  expect(await store.image(1, signal)).toBe('https://cdn.example/1.jpg');
  answer('""');
  expect(await failureOf(store.image(1, signal))).toBe('malformed');
});

test('reviews need a verdict and a date; a game without any is no failure', async () => {
  answer([{ recommended: true, posted: '2024-01-01T00:00:00Z', author: 'x' }]);
  expect(await store.reviews(1, signal)).toEqual([
    { recommended: true, posted: 1_704_067_200_000 },
  ]);
  answer([{ recommended: 'yes', posted: '2024-01-01' }]);
  expect(await failureOf(store.reviews(1, signal))).toBe('malformed');
  answer([{ recommended: true, posted: 'yesterday' }]);
  expect(await failureOf(store.reviews(1, signal))).toBe('malformed');
  answer('Not Found', 404);
  expect(await store.reviews(1, signal)).toEqual([]);
});
