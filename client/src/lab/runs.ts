import { type Job, TARGETS } from './model';

/** The jobs that were started by one request. */
export interface Run {
  readonly id: string;
  /** Single SQL, SQL with read replica, distributed. */
  readonly jobs: readonly Job[];
  readonly createdAt: number;
}

/** Groups jobs by run, newest first. */
export function groupRuns(jobs: readonly Job[]): readonly Run[] {
  const groups = new Map<string, Job[]>();
  for (const job of jobs) groups.set(job.runId, [...(groups.get(job.runId) ?? []), job]);
  return [...groups]
    .map(([id, jobs]) => ({
      id,
      jobs: jobs.toSorted((a, b) => TARGETS.indexOf(a.target) - TARGETS.indexOf(b.target)),
      createdAt: Math.min(...jobs.map(({ createdAt }) => createdAt)),
    }))
    .toSorted((a, b) => b.createdAt - a.createdAt);
}

export function idsOf(run: Run): readonly string[] {
  return run.jobs.map(({ id }) => id);
}
