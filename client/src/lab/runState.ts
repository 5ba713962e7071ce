import type { Job, JobState, Window } from './model';

/** What is known of one job while it runs. */
export interface JobData {
  readonly job: Job | null;
  /** Ascending by second, the latest version of each. */
  readonly windows: readonly Window[];
  /** No further event of it comes. */
  readonly ended: boolean;
}

export type RunData = Readonly<Record<string, JobData>>;

export type RunEvent =
  | { readonly kind: 'window'; readonly id: string; readonly window: Window }
  | { readonly kind: 'windows'; readonly id: string; readonly windows: readonly Window[] }
  | { readonly kind: 'job'; readonly job: Job }
  | { readonly kind: 'end'; readonly id: string };

const NOTHING: JobData = { job: null, windows: [], ended: false };
const ORDER: readonly JobState[] = ['waiting', 'running'];

export function noData(ids: readonly string[]): RunData {
  return Object.fromEntries(ids.map((id) => [id, NOTHING]));
}

export function hasEnded(state: JobState): boolean {
  return state !== 'waiting' && state !== 'running';
}

/** Applies an event. Events may come twice and, after a new connection, again from the start. */
export function applyEvent(data: RunData, event: RunEvent): RunData {
  const id = event.kind === 'job' ? event.job.id : event.id;
  const before = data[id];
  // Of a job that is not shown.
  if (before === undefined) return data;
  const after = applyToJob(before, event);
  return after === before ? data : { ...data, [id]: after };
}

function applyToJob(data: JobData, event: RunEvent): JobData {
  switch (event.kind) {
    case 'window':
      return { ...data, windows: withWindow(data.windows, event.window) };
    case 'windows':
      return { ...data, windows: event.windows.reduce(withWindow, data.windows) };
    case 'job':
      return isOlder(event.job, data.job) ? data : { ...data, job: event.job };
    case 'end':
      return { ...data, ended: true };
  }
}

/** A final window replaces the first one of its second, and never the other way round. */
function withWindow(windows: readonly Window[], window: Window): readonly Window[] {
  const index = windows.findLastIndex(({ second }) => second <= window.second);
  const found = windows[index];
  if (found?.second !== window.second) return windows.toSpliced(index + 1, 0, window);
  return found.final && !window.final ? windows : windows.with(index, window);
}

/** A job that has ended does not run again: such an event is repeated from before. */
function isOlder(job: Job, known: Job | null): boolean {
  if (known === null) return false;
  const rank = ({ state }: Job) => (hasEnded(state) ? ORDER.length : ORDER.indexOf(state));
  return rank(job) < rank(known);
}
