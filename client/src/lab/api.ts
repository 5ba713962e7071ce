import { errorKind } from '../api/errors';
import { asArray, asFields, asText } from '../api/guards';
import { apiUrl, getJson, postJson } from '../api/request';
import {
  type CachedRun,
  type Job,
  type LabInfo,
  parseCachedRun,
  parseIds,
  parseInfo,
  parseJob,
  parseWindow,
  type Window,
} from './model';

/** A start waits until the databases are set up: servers may be restarted and filled for it. */
const START_TIMEOUT_MS = 180_000;

/** The routes of the lab. */
export interface LabApi {
  readonly info: (signal: AbortSignal) => Promise<LabInfo>;
  readonly jobs: (signal: AbortSignal) => Promise<readonly Job[]>;
  readonly job: (id: string, signal: AbortSignal) => Promise<Job>;
  readonly windows: (id: string, signal: AbortSignal) => Promise<readonly Window[]>;
  /** Starts a run; answers the ids of its jobs. */
  readonly run: (body: object) => Promise<readonly string[]>;
  /** Starts the run that makes a small database fail. */
  readonly fail: (body: object) => Promise<readonly string[]>;
  readonly stop: (id: string) => Promise<Job>;
  readonly keep: (id: string) => Promise<Job>;
  /** The keys of the cached runs of a choice, of which some may not exist. */
  readonly chooseCached: (body: object) => Promise<readonly string[]>;
  readonly cached: (signal: AbortSignal) => Promise<readonly CachedRun[]>;
  /** Null when there is no such cached run. */
  readonly cachedWindows: (
    key: string,
    patterns: string,
    signal: AbortSignal,
  ) => Promise<readonly Window[] | null>;
  /** The URL of a stream of the events of these jobs. */
  readonly eventsUrl: (ids: readonly string[]) => string;
  /** The URL of a file about a job. */
  readonly fileUrl: (id: string, file: 'report' | 'export.csv' | 'export.json') => string;
}

export function createLabApi(base: string): LabApi {
  const url = (path: string) => apiUrl(base, path);
  const jobUrl = (id: string, rest = '') => url(`/jobs/${encodeURIComponent(id)}${rest}`);
  const list = async <T>(path: string, parse: (value: unknown) => T, signal: AbortSignal) =>
    asArray(await getJson(url(path), signal), path).map(parse);
  const post = (path: string, body: object) =>
    postJson(url(path), JSON.stringify(body), new AbortController().signal, START_TIMEOUT_MS);
  const jobAction = async (id: string, action: string) =>
    parseJob(await post(`/jobs/${encodeURIComponent(id)}/${action}`, {}));
  return {
    info: async (signal) => parseInfo(await getJson(url('/lab'), signal)),
    jobs: (signal) => list('/jobs', parseJob, signal),
    job: async (id, signal) => parseJob(await getJson(jobUrl(id), signal)),
    windows: (id, signal) =>
      list(`/jobs/${encodeURIComponent(id)}/transactions`, parseWindow, signal),
    run: async (body) => parseIds(await post('/run', body), 'job_ids'),
    fail: async (body) => [asText(asFields(await post('/fail', body), 'fail').jobs_id, 'jobs_id')],
    stop: (id) => jobAction(id, 'stop'),
    keep: (id) => jobAction(id, 'keep'),
    chooseCached: async (body) => parseIds(await post('/cached', body), 'job_ids'),
    cached: (signal) => list('/cached', parseCachedRun, signal),
    cachedWindows: async (key, patterns, signal) => {
      const path = `/cached/${encodeURIComponent(key)}/patterns/${patterns}/transactions`;
      try {
        return await list(path, parseWindow, signal);
      } catch (error) {
        if (errorKind(error) === 'missing') return null;
        throw error;
      }
    },
    eventsUrl: (ids) => url(`/jobs/events?ids=${ids.map(encodeURIComponent).join(',')}`),
    fileUrl: (id, file) => jobUrl(id, `/${file}`),
  };
}
