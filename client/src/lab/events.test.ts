import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { followJobs } from './events';
import { FakeEventSource, FakeLab } from './fakeLab';
import { jobAnswer, windowAnswer } from './fixtures';

const onEvent = vi.fn();
const onConnection = vi.fn();
const haveEnded = vi.fn<() => Promise<boolean>>();
const follow = (jobs: number) => followJobs('/events', jobs, { onEvent, onConnection, haveEnded });

beforeEach(() => {
  new FakeLab();
  onEvent.mockReset();
  onConnection.mockReset();
  haveEnded.mockReset().mockResolvedValue(false);
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

test('windows, states and ends are told apart', () => {
  follow(2);
  const { latest } = FakeEventSource;
  latest.emit('window', { job_id: 'a', ...windowAnswer(3) });
  latest.emit('state', jobAnswer('a', { state: 'finished' }));
  latest.emit('end', { job_id: 'a' });
  expect(onEvent.mock.calls.map(([event]) => event)).toMatchObject([
    { kind: 'window', id: 'a', window: { second: 3 } },
    { kind: 'job', job: { state: 'finished' } },
    { kind: 'end', id: 'a' },
  ]);
});

test('the stream is closed when every job has ended, and not before', () => {
  follow(2);
  const { latest } = FakeEventSource;
  latest.emit('end', { job_id: 'a' });
  latest.emit('end', { job_id: 'a' });
  expect(latest.readyState).not.toBe(FakeEventSource.CLOSED);
  latest.emit('end', { job_id: 'b' });
  expect(latest.readyState).toBe(FakeEventSource.CLOSED);
  expect(onConnection).toHaveBeenLastCalledWith('closed');
});

test('an interruption that the browser mends opens no second stream', async () => {
  follow(1);
  FakeEventSource.latest.onerror?.();
  expect(onConnection).toHaveBeenLastCalledWith('interrupted');
  await vi.advanceTimersByTimeAsync(60_000);
  FakeEventSource.latest.onopen?.();
  expect(onConnection).toHaveBeenLastCalledWith('open');
  expect(FakeEventSource.all).toHaveLength(1);
});

test('a stream that the browser gave up is opened again', async () => {
  follow(1);
  FakeEventSource.latest.close();
  FakeEventSource.latest.onerror?.();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(FakeEventSource.all).toHaveLength(2);
});

test('no stream is opened again for jobs that have ended meanwhile', async () => {
  haveEnded.mockResolvedValue(true);
  follow(1);
  FakeEventSource.latest.close();
  FakeEventSource.latest.onerror?.();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(FakeEventSource.all).toHaveLength(1);
  expect(onConnection).toHaveBeenLastCalledWith('closed');
});

test('nothing is opened again after leaving', async () => {
  const stop = follow(1);
  FakeEventSource.latest.close();
  FakeEventSource.latest.onerror?.();
  stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(FakeEventSource.all).toHaveLength(1);
});

test('an event that is not understood does not end the stream', () => {
  const error = vi.spyOn(console, 'error').mockImplementation(() => {});
  follow(1);
  FakeEventSource.latest.emit('window', 'not JSON');
  FakeEventSource.latest.emit('window', { job_id: 'a', second: 'x' });
  FakeEventSource.latest.emit('window', { job_id: 'a', ...windowAnswer(0) });
  expect(error).toHaveBeenCalledTimes(2);
  expect(onEvent).toHaveBeenCalledTimes(1);
});
