import { act, cleanup, screen, waitFor, within } from '@testing-library/react';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FakeEventSource, FakeLab, problem } from './fakeLab';
import { jobAnswer, sideAnswer, windowAnswer } from './fixtures';
import { button, numbers, pane, rows, showLab } from './testPage';

// jsdom has no canvas; e2e draws the charts.
vi.mock('uplot', () => ({
  default: class {
    static pxRatio = 1;
    setData() {}
    setSize() {}
    destroy() {}
  },
}));

let lab: FakeLab;
beforeEach(() => {
  lab = new FakeLab();
  lab.jobs = [jobAnswer('a')];
});
afterEach(cleanup);

const emit = (...args: Parameters<FakeEventSource['emit']>) =>
  act(() => FakeEventSource.latest.emit(...args));
const stream = () => waitFor(() => FakeEventSource.latest);

test('windows appear as they arrive, and a final one replaces the first', async () => {
  showLab('/run/a');
  const sql = await pane('Single SQL');
  await stream();
  const nothing = sideAnswer({ ok: 0, pending: 100, average_latency: null, p99: null });
  emit('window', { job_id: 'a', ...windowAnswer(0, { final: false, write: nothing }) });
  expect(numbers(sql, /^Mean time/)).toEqual([
    ['Reads', '2.00 ms', '2.00 ms'],
    ['Writes', '–', '–'],
  ]);
  emit('window', { job_id: 'a', ...windowAnswer(0) });
  expect(numbers(sql, /^Mean time/)[1]).toEqual(['Writes', '4.00 ms', '4.00 ms']);
  const progress = within(sql).getByRole('progressbar', { name: 'Progress of Single SQL' });
  expect(progress.getAttribute('value')).toBe('1');
});

test('beside the percentile stands the highest of all seconds', async () => {
  showLab('/run/a');
  const sql = await pane('Single SQL');
  await stream();
  emit('window', { job_id: 'a', ...windowAnswer(0, { read: sideAnswer({ p99: 0.5 }) }) });
  emit('window', { job_id: 'a', ...windowAnswer(1) });
  expect(numbers(sql, /^99th percentile/)[0]).toEqual(['Reads', '10.0 ms', '500 ms']);
});

test('a table stands behind each chart', async () => {
  const user = showLab('/run/a');
  const sql = await pane('Single SQL');
  await stream();
  emit('window', { job_id: 'a', ...windowAnswer(0) });
  emit('window', { job_id: 'a', ...windowAnswer(1, { final: false }) });
  const chart = within(sql).getByRole('region', { name: /^Failure share/ });
  await user.click(within(chart).getByText(/^Show as a table/));
  const table = await within(chart).findByRole('table', { name: 'Failure share, Single SQL' });
  expect(rows(table)).toEqual([
    ['0', '0 %', '0 %'],
    ['1 provisional', '0 %', '0 %'],
  ]);
});

test('all jobs are followed in one stream, which ends with them', async () => {
  lab.jobs = [jobAnswer('a'), jobAnswer('b', { target: 'sqlrep', database_type: 2 })];
  showLab('/run/a,b');
  await pane('SQL with read replica');
  const followed = await stream();
  expect(followed.url).toBe('http://lab.example/jobs/events?ids=a,b');
  for (const id of ['a', 'b']) {
    emit('state', jobAnswer(id, { target: id === 'a' ? 'sql' : 'sqlrep', state: 'finished' }));
    emit('end', { job_id: id });
  }
  expect(FakeEventSource.all).toHaveLength(1);
  expect(followed.readyState).toBe(FakeEventSource.CLOSED);
  expect(await button('Replay at 1×')).toBeTruthy();
});

test('a run that has ended is read once, without a stream', async () => {
  lab.jobs = [jobAnswer('a', { state: 'finished' })];
  lab.windows.set('a', [windowAnswer(0), windowAnswer(1)]);
  showLab('/run/a');
  const sql = await pane('Single SQL');
  await waitFor(() => expect(within(sql).getByText('2 of 5 s')).toBeTruthy());
  expect(FakeEventSource.all).toHaveLength(0);
});

test('an interrupted connection is said, until it is back', async () => {
  showLab('/run/a');
  await pane('Single SQL');
  const followed = await stream();
  act(() => followed.onerror?.());
  expect(screen.getByText(/^The connection to the lab is interrupted/)).toBeTruthy();
  act(() => followed.onopen?.());
  expect(screen.queryByText(/^The connection to the lab is interrupted/)).toBeNull();
});

test('a failed database, an invalid run and a stand-in are marked', async () => {
  lab.jobs = [
    jobAnswer('a', { state: 'failed', why: 'connection refused' }),
    jobAnswer('b', {
      target: 'spanner',
      state: 'finished',
      valid: false,
      why: 'The load generator was late.',
      database: { name: 'SQLite', stand_in: true, shared_machine: true },
      faults: [{ at: 2, target: 'spanner-1', action: 'kill', seconds: 1 }],
    }),
  ];
  showLab('/run/a,b');
  const distributed = await pane('Distributed');
  expect(within(distributed).getByText('Not valid')).toBeTruthy();
  expect(within(distributed).getByText('Stand-in')).toBeTruthy();
  expect(within(distributed).getByText(/spanner-1 killed in second 2, for 1 s/)).toBeTruthy();
  expect(screen.getByText('Single SQL failed')).toBeTruthy();
  expect(screen.getByText('connection refused')).toBeTruthy();
  expect(screen.getByText(/^The load generator was late\. Do not use/)).toBeTruthy();
  expect(screen.queryByRole('button', { name: /^Keep/ })).toBeNull();
});

test('a run can be stopped', async () => {
  const user = showLab('/run/a');
  await pane('Single SQL');
  await user.click(await button('Stop the run'));
  expect(await screen.findByText('Stopped')).toBeTruthy();
  expect(lab.posts).toEqual([{ path: '/jobs/a/stop', body: {} }]);
});

test('a finished run can be kept, and its files can be loaded', async () => {
  lab.jobs = [jobAnswer('a', { state: 'finished' })];
  const user = showLab('/run/a');
  const report = await screen.findByRole('link', { name: /^Report ?of Single SQL$/ });
  expect(report.getAttribute('href')).toBe('http://lab.example/jobs/a/report');
  await user.click(await button(/^Keep as cached run ?Single SQL$/));
  expect(await screen.findByText('Kept as cached run sql-1-1')).toBeTruthy();
  expect(lab.posts).toEqual([{ path: '/jobs/a/keep', body: {} }]);
});

test('a refused action is explained in the words of the lab', async () => {
  lab.jobs = [jobAnswer('a', { state: 'finished' })];
  lab.overrides.set('POST /jobs/a/keep', () => problem(409, 'Only a valid job can be kept.'));
  const user = showLab('/run/a');
  await user.click(await button(/^Keep/));
  expect(await screen.findByText('Only a valid job can be kept.')).toBeTruthy();
});

test('an unknown run is explained, and can be tried again', async () => {
  lab.jobs = [];
  showLab('/run/gone');
  expect(await screen.findByText('There is no such job.')).toBeTruthy();
  expect(await button('Try again')).toBeTruthy();
});

test('few failures are told by their causes, without a verdict', async () => {
  lab.jobs = [jobAnswer('a', { state: 'finished' })];
  const write = sideAnswer({ offered: 1_000, ok: 997, failed: 3, failure_percent: 0.3 });
  lab.windows.set('a', [windowAnswer(0, { write: { ...write, errors: { sold_out: 3 } } })]);
  showLab('/run/a');
  expect(await screen.findByText('Failures by cause. Writes: 3 sold out.')).toBeTruthy();
  expect(screen.queryByText(/did not keep up/)).toBeNull();
  expect(
    screen.getByText(/sent up to 400 µs late .* used up to 30 % of one processor/),
  ).toBeTruthy();
});
