import type { Job, Side, Window } from './model';

/** For tests: what the lab's API answers. */

export function jobAnswer(id: string, more: object = {}) {
  return {
    id,
    run_id: 'run-1',
    target: 'sql',
    database_type: 1,
    database_size: 1,
    intensity: 1,
    read_pattern: 1,
    write_pattern: 3,
    seconds: 5,
    mode: 'together',
    state: 'running',
    valid: true,
    why: null as string | null,
    database: { name: 'PostgreSQL 18.6', stand_in: false, shared_machine: true },
    faults: [] as object[],
    created_at: '2026-01-02T03:04:05Z',
    started_at: null,
    finished_at: null,
    cached_as: null as string | null,
    ...more,
  };
}

export function windowAnswer(second: number, more: object = {}) {
  return {
    timestamp: '2026-01-02T03:04:05Z',
    second,
    final: true,
    read: sideAnswer(),
    write: sideAnswer({ average_latency: 0.004, p99: 0.02 }),
    driver: { lag_p99: 0.0004, cpu: 0.3 },
    ...more,
  };
}

export function sideAnswer(more: object = {}) {
  return {
    offered: 100,
    count: 100,
    ok: 100,
    failed: 0,
    unsent: 0,
    pending: 0,
    average_latency: 0.002 as number | null,
    failure_percent: 0,
    p50: 0.001,
    p95: 0.005,
    p99: 0.01 as number | null,
    errors: {},
    ...more,
  };
}

export const INFO_ANSWER = {
  version: '0.1.0',
  rate_scale: 0.5,
  seconds: 30,
  keys: 'uniform',
  patterns: { 1: [100], 2: [200], 3: [100, 600, 300, 600] },
  machine: { cores: 2, memory_bytes: 25_280_000_000, os: 'Linux 6.1' },
  databases: [1, 2, 3].flatMap((database_type) =>
    [1, 2, 3].map((database_size) => ({
      database_type,
      database_size,
      name: `Database ${database_type}`,
      stand_in: database_type === 3,
      stands_for: database_type === 3 ? 'a distributed database, such as Cassandra' : null,
      shared_machine: true,
      state: 'free',
      why: null,
    })),
  ),
};

export function job(more: Partial<Job> = {}): Job {
  return {
    id: 'a',
    runId: 'run-1',
    target: 'sql',
    size: 1,
    intensity: 1,
    readPattern: 1,
    writePattern: 1,
    seconds: 30,
    mode: 'together',
    state: 'running',
    valid: true,
    why: null,
    database: { name: 'PostgreSQL 18.6', standIn: false, sharedMachine: true },
    faults: [],
    createdAt: 0,
    cachedAs: null,
    ...more,
  };
}

export function side(more: Partial<Side> = {}): Side {
  return {
    offered: 100,
    ok: 100,
    failed: 0,
    unsent: 0,
    pending: 0,
    mean: 0.002,
    p99: 0.01,
    failurePercent: 0,
    errors: {},
    ...more,
  };
}

export function window(second: number, more: Partial<Window> = {}): Window {
  return {
    second,
    final: true,
    read: side(),
    write: side(),
    driverLag: 0.0004,
    driverCpu: 0.3,
    ...more,
  };
}
