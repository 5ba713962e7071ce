import { expect, test } from 'vitest';
import { formatPercent, formatRatio, formatTime } from './format';

test.each([
  [null, '–'],
  [0, '0 µs'],
  [0.000_84, '840 µs'],
  [0.000_999_9, '1.00 ms'],
  [0.002_144, '2.14 ms'],
  [0.014_26, '14.3 ms'],
  [0.1384, '138 ms'],
  [0.999_7, '1.00 s'],
  [5, '5.00 s'],
])('a time of %s s is %s', (seconds, text) => {
  expect(formatTime(seconds)).toBe(text);
});

test.each([
  [null, '–'],
  [0, '0 %'],
  [0.004, '< 0.1 %'],
  [2.34, '2.3 %'],
  [34.4, '34 %'],
  [99.97, '100 %'],
])('a share of %s is %s', (percent, text) => {
  expect(formatPercent(percent)).toBe(text);
});

test.each([
  [0.002, 0.004, '2.0×'],
  [1, 0.04, '0.04×'],
  [0.001, 1.2, '1,200×'],
  [0, 1, '–'],
  [null, 1, '–'],
  [1, null, '–'],
])('%s to %s is %s', (a, b, text) => {
  expect(formatRatio(a, b)).toBe(text);
});
