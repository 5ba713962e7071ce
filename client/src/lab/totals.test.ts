import { expect, test } from 'vitest';
import { side, window } from './fixtures';
import { totals } from './totals';

test('counts are added, and errors by kind', () => {
  const busy = side({ offered: 200, ok: 150, failed: 30, unsent: 20, errors: { timeout: 30 } });
  const windows = [window(0, { read: busy }), window(1, { read: busy }), window(2)];
  expect(totals(windows, 'read')).toMatchObject({
    offered: 500,
    ok: 400,
    failed: 60,
    unsent: 40,
    failurePercent: 20,
    errors: { timeout: 60 },
  });
});

test('the mean weighs each second by the transactions that ended in it', () => {
  const windows = [
    window(0, { read: side({ ok: 300, mean: 0.001 }) }),
    window(1, { read: side({ ok: 50, failed: 50, mean: 0.005 }) }),
  ];
  expect(totals(windows, 'read').mean).toBeCloseTo(0.002);
});

test('seconds without a completed transaction do not count for times', () => {
  const nothing = side({ ok: 0, pending: 100, mean: null, p99: null });
  const windows = [window(0), window(1, { read: nothing })];
  expect(totals(windows, 'read')).toMatchObject({ mean: 0.002, highestP99: 0.01, pending: 100 });
  expect(totals([window(1, { read: nothing })], 'read')).toMatchObject({
    mean: null,
    highestP99: null,
  });
});

test('percentiles are not averaged: the highest is told', () => {
  const windows = [0.01, 0.5, 0.02].map((p99, second) => window(second, { write: side({ p99 }) }));
  expect(totals(windows, 'write').highestP99).toBe(0.5);
});

test('before the first second there is neither a mean nor a share', () => {
  expect(totals([], 'read')).toMatchObject({ offered: 0, mean: null, failurePercent: null });
});
