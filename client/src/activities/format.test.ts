import { expect, test } from 'vitest';
import { formatBytes, formatDuration, shortId } from './format';
import { isActivitiesPath } from './path';

test.each([
  [0, '0 ms'],
  [0.0684, '68 ms'],
  [4.26, '4.2 s'],
  [59.99, '59.9 s'],
  [185, '3 min 5 s'],
  [7_500, '2 h 5 min'],
])('%d seconds are %s', (seconds, text) => expect(formatDuration(seconds)).toBe(text));

test.each([
  [0, '0 bytes'],
  [1, '1 byte'],
  [1_023, '1,023 bytes'],
  [1_536, '1.5 KiB'],
  [20_480, '20 KiB'],
  [3 * 1024 ** 4, '3,072 GiB'],
])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test('the end of an id tells messages of the same minute apart', () => {
  expect(shortId('0199-aaaa-0123456789ab')).toBe('…456789ab');
  expect(shortId('0001')).toBe('0001');
});

test('the page is at its path only', () => {
  expect(
    ['/activities', '/activities/', '/activities/1', '/activity'].map(isActivitiesPath),
  ).toEqual([true, true, false, false]);
});
