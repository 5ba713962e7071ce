import { expect, test } from 'vitest';
import { job } from './fixtures';
import { runState } from './labels';
import { groupRuns, idsOf } from './runs';

test('the jobs of a run stand together, newest run first, in the order of the databases', () => {
  const runs = groupRuns([
    job({ id: 'old', runId: 'one', createdAt: 1 }),
    job({ id: 'c', runId: 'two', target: 'spanner', createdAt: 5 }),
    job({ id: 'a', runId: 'two', target: 'sql', createdAt: 5 }),
    job({ id: 'b', runId: 'two', target: 'sqlrep', createdAt: 6 }),
  ]);
  expect(runs.map(idsOf)).toEqual([['a', 'b', 'c'], ['old']]);
});

test('a run runs while any of its jobs does, and has failed if one has', () => {
  const states = (...all: ('running' | 'waiting' | 'finished' | 'failed')[]) =>
    runState(all.map((state) => job({ state })));
  expect(states('finished', 'running', 'failed')).toBe('running');
  expect(states('finished', 'failed')).toBe('failed');
  expect(states('finished', 'finished')).toBe('finished');
});
