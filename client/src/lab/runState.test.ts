import { describe, expect, test } from 'vitest';
import { job, window } from './fixtures';
import { applyEvent, noData, type RunEvent } from './runState';

const apply = (...events: RunEvent[]) => events.reduce(applyEvent, noData(['a', 'b']));
const arrives = (second: number, more = {}): RunEvent => ({
  kind: 'window',
  id: 'a',
  window: window(second, more),
});

describe('windows', () => {
  test('stand in the order of their seconds, whatever order they come in', () => {
    const { a } = apply(arrives(2), arrives(0), arrives(1));
    expect(a?.windows.map(({ second }) => second)).toEqual([0, 1, 2]);
  });

  test('a final window replaces the first one of its second', () => {
    const final = window(1, { driverLag: 9 });
    const { a } = apply(arrives(0), arrives(1, { final: false }), arrives(2, { final: false }), {
      kind: 'window',
      id: 'a',
      window: final,
    });
    expect(a?.windows).toHaveLength(3);
    expect(a?.windows[1]).toBe(final);
  });

  test('a repeated first window does not replace the final one', () => {
    const { a } = apply(arrives(1), arrives(1, { final: false }));
    expect(a?.windows).toEqual([window(1)]);
  });

  test('of one job do not change those of another', () => {
    const before = apply(arrives(0));
    const after = applyEvent(before, arrives(1));
    expect(after.b).toBe(before.b);
    expect(after.a?.windows).toHaveLength(2);
  });

  test('that were read at once are merged with those that came before', () => {
    const { a } = apply(arrives(0, { final: false }), {
      kind: 'windows',
      id: 'a',
      windows: [window(0), window(1)],
    });
    expect(a?.windows).toEqual([window(0), window(1)]);
  });
});

test('an event of a job that is not shown is ignored', () => {
  const before = apply();
  expect(applyEvent(before, { kind: 'end', id: 'other' })).toBe(before);
});

test('a job that has ended does not run again when events are repeated from the start', () => {
  const { a } = apply(
    { kind: 'job', job: job({ state: 'finished' }) },
    { kind: 'job', job: job({ state: 'waiting' }) },
    { kind: 'job', job: job({ state: 'running' }) },
  );
  expect(a?.job?.state).toBe('finished');
});

test('a job can become invalid after it has ended', () => {
  const { a } = apply(
    { kind: 'job', job: job({ state: 'finished' }) },
    { kind: 'job', job: job({ state: 'finished', valid: false, why: 'late' }) },
  );
  expect(a?.job?.valid).toBe(false);
});

test('the end of a job is remembered', () => {
  const { a, b } = apply({ kind: 'end', id: 'a' });
  expect([a?.ended, b?.ended]).toEqual([true, false]);
});
