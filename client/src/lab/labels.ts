import type { Fault, Job, JobState, Mode, OneToThree, Target } from './model';

/** The words that the page uses. */

export const TARGET_NAMES: Record<Target, string> = {
  sql: 'Single SQL',
  sqlrep: 'SQL with read replica',
  spanner: 'Distributed',
};

export const STATE_NAMES: Record<JobState, string> = {
  waiting: 'Waiting',
  running: 'Running',
  finished: 'Finished',
  stopped: 'Stopped',
  failed: 'Failed',
};

export const MODE_NAMES: Record<Mode, string> = { together: 'Together', in_turns: 'In turns' };

const SIZES: Record<OneToThree, string> = { 1: 'Small', 2: 'Medium', 3: 'Large' };

/** A distributed database's size is its number of copies. */
export function sizeName(target: Target, size: OneToThree): string {
  return target === 'spanner' ? `${size} ${size === 1 ? 'copy' : 'copies'}` : SIZES[size];
}

/** What embedded databases stand for, where the answer does not say it. */
export const STANDS_FOR: Record<Target, string> = {
  sql: 'one SQL server, such as PostgreSQL',
  sqlrep: 'an SQL server with a read replica',
  spanner: 'a distributed database, such as Cassandra',
};

const PAST: Record<Fault['action'], string> = {
  pause: 'paused',
  kill: 'killed',
  cut: 'disconnected',
  delay: 'delayed',
};

export function describeFault({ at, target, action, seconds }: Fault): string {
  return `${target} ${PAST[action]} in second ${at}, for ${seconds} s`;
}

/** Cached runs are named by type, size and intensity, such as `sql-2-3`. */
export function parseKey(key: string) {
  const match = /^(sql|sqlrep|spanner)-([1-3])-([1-3])$/.exec(key);
  if (match === null) return null;
  return {
    target: match[1] as Target,
    size: Number(match[2]) as OneToThree,
    intensity: Number(match[3]) as OneToThree,
  };
}

/** The worst of its jobs' states. */
export function runState(jobs: readonly Job[]): JobState {
  const worstFirst: readonly JobState[] = ['running', 'waiting', 'failed', 'stopped', 'finished'];
  return worstFirst.find((state) => jobs.some((job) => job.state === state)) ?? 'finished';
}
