import { useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useReducer, useState } from 'react';
import { useLabApi } from './context';
import { type Connection, followJobs } from './events';
import type { Job } from './model';
import { applyEvent, hasEnded, noData, type RunData } from './runState';

export interface LiveRun {
  readonly data: RunData;
  readonly connection: Connection;
  /** Why the jobs could not be loaded. */
  readonly error: unknown;
  readonly retry: () => void;
  /** Takes a job that another request answered. */
  readonly update: (job: Job) => void;
}

/** Jobs and their windows: followed while they run, read once if they have ended. */
export function useRun(ids: readonly string[]): LiveRun {
  const api = useLabApi();
  const client = useQueryClient();
  const [data, dispatch] = useReducer(applyEvent, ids, noData);
  const [connection, setConnection] = useState<Connection>('closed');
  const [error, setError] = useState<unknown>(null);
  const [attempt, setAttempt] = useState(0);
  const key = ids.join(',');
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new attempt loads again
  useEffect(() => {
    const wanted = key.split(',');
    const abort = new AbortController();
    let stop = () => {};
    /** Reads the jobs, and the windows of those that are over; whether all are. */
    const read = async () => {
      const jobs = await Promise.all(wanted.map((id) => api.job(id, abort.signal)));
      for (const job of jobs) dispatch({ kind: 'job', job });
      if (!jobs.every(({ state }) => hasEnded(state))) return false;
      const readWindows = async (id: string) =>
        dispatch({ kind: 'windows', id, windows: await api.windows(id, abort.signal) });
      await Promise.all(wanted.map(readWindows));
      return true;
    };
    const load = async () => {
      if ((await read()) || abort.signal.aborted) return;
      stop = followJobs(api.eventsUrl(wanted), wanted.length, {
        onEvent: (event) => {
          dispatch(event);
          // The history and the databases' states have changed.
          if (event.kind !== 'window') void client.invalidateQueries({ queryKey: ['lab'] });
        },
        onConnection: setConnection,
        haveEnded: () => read().catch(() => false),
      });
    };
    load().catch((reason: unknown) => {
      if (!abort.signal.aborted) setError(reason);
    });
    return () => {
      abort.abort();
      stop();
    };
  }, [api, client, key, attempt]);
  const retry = useCallback(() => {
    setError(null);
    setAttempt((before) => before + 1);
  }, []);
  const update = useCallback((job: Job) => dispatch({ kind: 'job', job }), []);
  return { data, connection, error, retry, update };
}
