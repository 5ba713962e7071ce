import {
  asArray,
  asBoolean,
  asFields,
  asInteger,
  asText,
  asTime,
  type Fields,
  malformed,
} from '../api/guards';

/** What the lab's API sends, checked where it arrives. */

export const TARGETS = ['sql', 'sqlrep', 'spanner'] as const;
export type Target = (typeof TARGETS)[number];

/** A size, an intensity or the number of a pattern. */
export type OneToThree = 1 | 2 | 3;
export const ONE_TO_THREE: readonly OneToThree[] = [1, 2, 3];

export const JOB_STATES = ['waiting', 'running', 'finished', 'stopped', 'failed'] as const;
export type JobState = (typeof JOB_STATES)[number];

export const FAULT_ACTIONS = ['pause', 'kill', 'cut', 'delay'] as const;
export type FaultAction = (typeof FAULT_ACTIONS)[number];

export const MODES = ['together', 'in_turns'] as const;
export type Mode = (typeof MODES)[number];

export interface Fault {
  /** The second of the job in which it begins. */
  readonly at: number;
  readonly target: string;
  readonly action: FaultAction;
  readonly seconds: number;
}

export interface DatabaseLabel {
  readonly name: string;
  /** An embedded database in place of one that is not registered. */
  readonly standIn: boolean;
  /** It runs on the machine of the lab. */
  readonly sharedMachine: boolean;
}

export interface Database extends DatabaseLabel {
  readonly type: OneToThree;
  readonly size: OneToThree;
  readonly standsFor: string | null;
  readonly state: string;
  /** Why it is broken. */
  readonly why: string | null;
}

export interface LabInfo {
  readonly seconds: number;
  readonly keys: string;
  /** Transactions a second of one worker, one entry per second, repeating. */
  readonly patterns: Readonly<Record<OneToThree, readonly number[]>>;
  readonly machine: { readonly cores: number; readonly memoryBytes: number | null; os: string };
  readonly databases: readonly Database[];
}

export interface Job {
  readonly id: string;
  readonly runId: string;
  readonly target: Target;
  readonly size: OneToThree;
  readonly intensity: OneToThree;
  readonly readPattern: OneToThree;
  readonly writePattern: OneToThree;
  readonly seconds: number;
  readonly mode: Mode;
  readonly state: JobState;
  readonly valid: boolean;
  /** Why it is not valid, or has failed. */
  readonly why: string | null;
  readonly database: DatabaseLabel;
  readonly faults: readonly Fault[];
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
  readonly cachedAs: string | null;
}

/** Reads or writes of one second. Times are in seconds, null where nothing completed. */
export interface Side {
  readonly offered: number;
  readonly ok: number;
  readonly failed: number;
  readonly unsent: number;
  readonly pending: number;
  readonly mean: number | null;
  readonly p99: number | null;
  /** 0 to 100. */
  readonly failurePercent: number;
  readonly errors: Readonly<Record<string, number>>;
}

export interface Window {
  readonly second: number;
  /** Nothing of this second is pending: it does not change any more. */
  readonly final: boolean;
  readonly read: Side;
  readonly write: Side;
  /** How late the load generator itself sent (99th percentile), in seconds. */
  readonly driverLag: number | null;
  /** The share of one processor that the load generator used. */
  readonly driverCpu: number | null;
}

export interface CachedRun {
  readonly key: string;
  readonly readPattern: OneToThree;
  readonly writePattern: OneToThree;
  readonly seconds: number;
  readonly database: DatabaseLabel;
  readonly recordedAt: number | null;
}

export function parseInfo(value: unknown): LabInfo {
  const fields = asFields(value, 'lab');
  const patterns = asFields(fields.patterns, 'patterns');
  const scale = asNumber(fields.rate_scale, 'rate_scale');
  const rates = (number: OneToThree) =>
    asArray(patterns[number], 'pattern').map((rate) => asNumber(rate, 'rate') * scale);
  const machine = asFields(fields.machine, 'machine');
  return {
    seconds: asInteger(fields.seconds, 'seconds'),
    keys: asText(fields.keys, 'keys'),
    patterns: { 1: rates(1), 2: rates(2), 3: rates(3) },
    machine: {
      cores: asInteger(machine.cores, 'cores'),
      memoryBytes: orNull(machine.memory_bytes, (bytes) => asNumber(bytes, 'memory_bytes')),
      os: asText(machine.os, 'os'),
    },
    databases: asArray(fields.databases, 'databases').map(parseDatabase),
  };
}

function parseDatabase(value: unknown): Database {
  const fields = asFields(value, 'database');
  return {
    ...parseLabel(fields),
    type: asOneToThree(fields.database_type, 'database_type'),
    size: asOneToThree(fields.database_size, 'database_size'),
    standsFor: orNull(fields.stands_for, (text) => asText(text, 'stands_for')),
    state: asText(fields.state, 'state'),
    why: orNull(fields.why, (why) => asText(why, 'why')),
  };
}

function parseLabel(value: unknown): DatabaseLabel {
  const fields = asFields(value, 'database');
  return {
    name: asText(fields.name, 'name'),
    standIn: asBoolean(fields.stand_in, 'stand_in'),
    sharedMachine: asBoolean(fields.shared_machine, 'shared_machine'),
  };
}

export function parseJob(value: unknown): Job {
  const fields = asFields(value, 'job');
  return {
    id: asText(fields.id, 'id'),
    runId: asText(fields.run_id, 'run_id'),
    target: asOneOf(TARGETS, fields.target, 'target'),
    size: asOneToThree(fields.database_size, 'database_size'),
    intensity: asOneToThree(fields.intensity, 'intensity'),
    readPattern: asOneToThree(fields.read_pattern, 'read_pattern'),
    writePattern: asOneToThree(fields.write_pattern, 'write_pattern'),
    seconds: asInteger(fields.seconds, 'seconds'),
    mode: asOneOf(MODES, fields.mode, 'mode'),
    state: asOneOf(JOB_STATES, fields.state, 'state'),
    valid: asBoolean(fields.valid, 'valid'),
    why: orNull(fields.why, (why) => asText(why, 'why')),
    database: parseLabel(fields.database),
    faults: asArray(fields.faults ?? [], 'faults').map(parseFault),
    createdAt: asTime(fields.created_at, 'created_at'),
    cachedAs: orNull(fields.cached_as, (key) => asText(key, 'cached_as')),
  };
}

function parseFault(value: unknown): Fault {
  const fields = asFields(value, 'fault');
  return {
    at: asInteger(fields.at, 'at'),
    target: asText(fields.target, 'target'),
    action: asOneOf(FAULT_ACTIONS, fields.action, 'action'),
    seconds: asInteger(fields.seconds, 'seconds'),
  };
}

export function parseWindow(value: unknown): Window {
  const fields = asFields(value, 'window');
  const driver = asFields(fields.driver ?? {}, 'driver');
  return {
    second: asInteger(fields.second, 'second'),
    final: asBoolean(fields.final, 'final'),
    read: parseSide(fields.read),
    write: parseSide(fields.write),
    driverLag: orNull(driver.lag_p99, (lag) => asNumber(lag, 'lag_p99')),
    driverCpu: orNull(driver.cpu, (cpu) => asNumber(cpu, 'cpu')),
  };
}

function parseSide(value: unknown): Side {
  const fields = asFields(value, 'side');
  const count = (name: string) => asInteger(fields[name], name);
  const time = (name: string) => orNull(fields[name], (seconds) => asNumber(seconds, name));
  const errors = Object.entries(asFields(fields.errors ?? {}, 'errors'));
  return {
    offered: count('offered'),
    ok: count('ok'),
    failed: count('failed'),
    unsent: count('unsent'),
    pending: count('pending'),
    mean: time('average_latency'),
    p99: time('p99'),
    failurePercent: asNumber(fields.failure_percent, 'failure_percent'),
    errors: Object.fromEntries(errors.map(([kind, times]) => [kind, asInteger(times, kind)])),
  };
}

export function parseCachedRun(value: unknown): CachedRun {
  const fields = asFields(value, 'cached run');
  return {
    key: asText(fields.key, 'key'),
    readPattern: asOneToThree(fields.read_pattern, 'read_pattern'),
    writePattern: asOneToThree(fields.write_pattern, 'write_pattern'),
    seconds: asInteger(fields.seconds, 'seconds'),
    database: parseLabel(fields.database),
    recordedAt: orNull(fields.recorded_at, (at) => asTime(at, 'recorded_at')),
  };
}

/** The ids that a field of an answer lists. */
export function parseIds(value: unknown, field: string): readonly string[] {
  const fields: Fields = asFields(value, field);
  return asArray(fields[field], field).map((id) => asText(id, field));
}

/** An absent member is null. */
function orNull<T>(value: unknown, parse: (value: unknown) => T): T | null {
  return value === null || value === undefined ? null : parse(value);
}

function asNumber(value: unknown, what: string): number {
  if (typeof value !== 'number') throw malformed(what);
  return value;
}

function asOneToThree(value: unknown, what: string): OneToThree {
  return asOneOf(ONE_TO_THREE, value, what);
}

function asOneOf<T>(choices: readonly T[], value: unknown, what: string): T {
  const choice = choices.find((one) => one === value);
  if (choice === undefined) throw malformed(what);
  return choice;
}
