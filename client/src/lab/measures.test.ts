import { expect, test } from 'vitest';
import { side, window } from './fixtures';
import { linearTicks, logTicks, MEASURES, type Measure, sharedRange } from './measures';

const [MEAN, , FAILURES] = MEASURES as readonly [Measure, Measure, Measure];
const slow = [window(0, { write: side({ mean: 0.9, failurePercent: 37 }) })];
const fast = [window(0, { read: side({ mean: 0.000_8 }) })];

test('the axis ends above the highest value of any pane', () => {
  expect(sharedRange([fast, slow], MEAN, 'linear')).toEqual([0, 1]);
  expect(sharedRange([fast], MEAN, 'linear')[1]).toBeCloseTo(0.003);
});

test('the logarithmic axis holds all values between powers of ten', () => {
  const [bottom, top] = sharedRange([fast, slow], MEAN, 'log');
  expect(bottom).toBeCloseTo(0.0001);
  expect(top).toBe(1);
});

test('an axis without values has a length', () => {
  expect(sharedRange([[]], MEAN, 'linear')).toEqual([0, 0.01]);
  const [bottom, top] = sharedRange([[]], MEAN, 'log');
  expect(top).toBeGreaterThan(bottom);
});

test('a small failure share is not drawn as a large one', () => {
  expect(sharedRange([fast], FAILURES, 'linear')).toEqual([0, 4]);
  expect(sharedRange([slow], FAILURES, 'log')).toEqual([0, 40]);
});

test('a window without transactions has no failure share', () => {
  expect(FAILURES.value(side({ offered: 0, ok: 0 }))).toBeNull();
});

test.each([
  [0.01, [0, 0.0025, 0.005, 0.0075, 0.01]],
  [0.06, [0, 0.02, 0.04, 0.06]],
  [1.5, [0, 0.5, 1, 1.5]],
])('an axis to %s is divided into short numbers', (top, ticks) => {
  const made = linearTicks([0, top], true);
  expect(made).toHaveLength(ticks.length);
  for (const [index, tick] of ticks.entries()) expect(made[index]).toBeCloseTo(tick, 10);
});

test('a logarithmic axis names its powers of ten', () => {
  expect(logTicks([0.001, 1])).toEqual([0.001, 0.01, 0.1, 1]);
});
