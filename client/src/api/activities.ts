import { errorKind } from './errors';
import { asArray, asBoolean, asFields, asInteger, asText, asTime, malformed } from './guards';
import { type JsonNode, parseJsonText } from './json';
import { apiUrl, getJson, getText, postJson, send, type WriteOptions } from './request';

export const MESSAGE_STATES = ['queued', 'applied', 'rejected'] as const;
export type MessageState = (typeof MESSAGE_STATES)[number];

export interface Status {
  /** Messages since the answering server started. */
  readonly accepted: number;
  readonly invalid: number;
  readonly applied: number;
  readonly rejected: number;
  readonly queued: { readonly messages: number; readonly bytes: number };
  /** Age of the oldest queued message in seconds; null if none is queued. */
  readonly lag: number | null;
  /** Of the answering server: it applies messages, waits to take over, or neither. */
  readonly worker: 'active' | 'standby' | 'none';
}

export interface Message {
  readonly id: string;
  readonly state: MessageState;
  readonly error: string | null;
  /** The activity that failed, from 0. */
  readonly activity: number | null;
  /** Times are in milliseconds since the epoch. */
  readonly receivedAt: number;
  readonly appliedAt: number | null;
  readonly attempts: number;
  /** The rejected message that this one repeats, and the message that repeats this one. */
  readonly retryOf: string | null;
  readonly retriedAs: string | null;
}

/** A page of a list. */
export interface Page<T> {
  readonly entries: readonly T[];
  /** Opaque; null on the last page. */
  readonly next: string | null;
}

/** Rejected messages of one cause, without those that were retried or discarded. */
export interface RejectionGroup {
  readonly cause: string;
  readonly count: number;
  /** The id of one of them. */
  readonly example: string;
}

export interface Column {
  readonly name: string;
  readonly type: string;
}

export interface Table {
  readonly name: string;
  readonly columns: readonly Column[];
  readonly rows: number;
  readonly lastAppliedAt: number | null;
}

/** What a valid message would do now. */
export interface Plan {
  /** The tables that would be created or get columns. */
  readonly changes: readonly PlannedChange[];
  readonly rejection: { readonly activity: number | null; readonly error: string } | null;
}

export interface PlannedChange {
  readonly table: string;
  readonly created: boolean;
  /** Those that would be added. */
  readonly columns: readonly Column[];
}

/** The values by column, as JSON nodes: numbers keep their digits. */
export type Row = ReadonlyMap<string, JsonNode>;

/** The activities routes below one base URL; each call is one request. */
export interface ActivitiesApi {
  status(signal: AbortSignal): Promise<Status>;
  /** Null: no such message, or not any more. */
  message(id: string, signal: AbortSignal): Promise<Message | null>;
  /** Newest first. */
  messages(
    state: MessageState | null,
    after: string | null,
    signal: AbortSignal,
  ): Promise<Page<Message>>;
  rejections(after: string | null, signal: AbortSignal): Promise<Page<RejectionGroup>>;
  tables(signal: AbortSignal): Promise<readonly Table[]>;
  /** Null: no such table, or not any more. */
  rows(table: string, after: string | null, signal: AbortSignal): Promise<Page<Row> | null>;
  /** Queues a message; its id. The text is sent as it is, valid or not. */
  send(json: string, options: WriteOptions): Promise<string>;
  /** Queues nothing; the plan of a valid message. */
  plan(json: string, signal: AbortSignal): Promise<Plan>;
  /** A message as it was sent. Null: no such message, or not any more. */
  payload(id: string, signal: AbortSignal): Promise<string | null>;
  /** Queues a rejected message again, or another text in its place; the new id. */
  retry(id: string, options: WriteOptions, json?: string): Promise<string>;
  discard(id: string, options: WriteOptions): Promise<void>;
  /** Retries the oldest rejected messages of a cause; how many, and how many are left. */
  retryCause(cause: string, options: WriteOptions): Promise<{ retried: number; left: number }>;
  /** Drops a table, in the order of messages. */
  dropTable(table: string, options: WriteOptions): Promise<void>;
}

/** Messages and causes per page. */
const PAGE_SIZE = 10;
const ROWS_PER_PAGE = 20;

export function createActivitiesApi(base: string): ActivitiesApi {
  const url = (path = '', query: Record<string, string | number | null> = {}) => {
    const set = Object.entries(query).flatMap(([name, value]) =>
      value === null ? [] : [[name, String(value)]],
    );
    const search = new URLSearchParams(set).toString();
    return apiUrl(base, `/api/activities${path}${search && `?${search}`}`);
  };
  const byId = (id: string, action = '') => url(`/${encodeURIComponent(id)}${action}`);
  const list = (after: string | null, limit = PAGE_SIZE) => ({ limit, after });
  return {
    status: async (signal) => parseStatus(await getJson(url('/status'), signal)),
    message: (id, signal) =>
      nullIfMissing(async () => parseMessage(await getJson(byId(id), signal))),
    messages: async (state, after, signal) => {
      const response = await getJson(url('', { state, ...list(after) }), signal);
      return parsePage(response, 'activities', parseMessage);
    },
    rejections: async (after, signal) => {
      const response = await getJson(url('/rejections', list(after)), signal);
      return parsePage(response, 'rejections', parseRejectionGroup);
    },
    tables: async (signal) =>
      asArray(await getJson(url('/tables'), signal), 'tables').map(parseTable),
    rows: (table, after, signal) =>
      nullIfMissing(async () =>
        parseRows(await getText(url('/rows', { table, ...list(after, ROWS_PER_PAGE) }), signal)),
      ),
    send: async (json, options) => parseId((await send('POST', url(), options, json))()),
    plan: async (json, signal) => {
      const response = await postJson(url('', { dry_run: 1 }), json, signal);
      return parsePlan(asFields(response, 'dry run').plan);
    },
    payload: (id, signal) => nullIfMissing(() => getText(byId(id, '/payload'), signal)),
    retry: async (id, options, json) =>
      parseId((await send('POST', byId(id, '/retry'), options, json))()),
    discard: async (id, options) => void (await send('DELETE', byId(id), options)),
    retryCause: async (cause, options) => {
      const response = await send('POST', url('/rejections/retry', { cause }), options);
      const fields = asFields(response(), 'retry');
      return {
        retried: asInteger(fields.retried, 'retried'),
        left: asInteger(fields.left, 'left'),
      };
    },
    dropTable: async (table, options) =>
      void (await send('DELETE', url('/tables', { table }), options)),
  };
}

async function nullIfMissing<T>(request: () => Promise<T>): Promise<T | null> {
  try {
    return await request();
  } catch (error) {
    if (errorKind(error) === 'missing') return null;
    throw error;
  }
}

function parseStatus(response: unknown): Status {
  const fields = asFields(response, 'status');
  const queued = asFields(fields.queued, 'queued');
  const age = queued.oldest_age_seconds;
  return {
    accepted: asInteger(fields.accepted, 'accepted'),
    invalid: asInteger(fields.invalid, 'invalid'),
    applied: asInteger(fields.applied, 'applied'),
    rejected: asInteger(fields.rejected, 'rejected'),
    queued: {
      messages: asInteger(queued.messages, 'messages'),
      bytes: asInteger(queued.bytes, 'bytes'),
    },
    lag: orNull(age, (value) => {
      if (typeof value !== 'number') throw malformed('oldest_age_seconds');
      return value;
    }),
    worker: asOneOf(['active', 'standby', 'none'], fields.worker, 'worker'),
  };
}

function parseMessage(value: unknown): Message {
  const fields = asFields(value, 'message');
  return {
    id: asText(fields.id, 'id'),
    state: asOneOf(MESSAGE_STATES, fields.state, 'state'),
    error: orNull(fields.error, (error) => asText(error, 'error')),
    activity: orNull(fields.activity, (activity) => asInteger(activity, 'activity')),
    receivedAt: asTime(fields.received_at, 'received_at'),
    appliedAt: orNull(fields.applied_at, (at) => asTime(at, 'applied_at')),
    attempts: asInteger(fields.attempts, 'attempts'),
    retryOf: orNull(fields.retry_of, (id) => asText(id, 'retry_of')),
    retriedAs: orNull(fields.retried_as, (id) => asText(id, 'retried_as')),
  };
}

function parseRejectionGroup(value: unknown): RejectionGroup {
  const fields = asFields(value, 'rejection');
  return {
    cause: asText(fields.cause, 'cause'),
    count: asInteger(fields.count, 'count'),
    example: asText(fields.example, 'example'),
  };
}

function parseTable(value: unknown): Table {
  const fields = asFields(value, 'table');
  return {
    name: asText(fields.table, 'table'),
    columns: asArray(fields.columns, 'columns').map(parseColumn),
    rows: asInteger(fields.rows, 'rows'),
    lastAppliedAt: orNull(fields.last_applied_at, (at) => asTime(at, 'last_applied_at')),
  };
}

function parseColumn(value: unknown): Column {
  const fields = asFields(value, 'column');
  return { name: asText(fields.name, 'column'), type: asText(fields.type, 'type') };
}

function parseRows(text: string): Page<Row> {
  const page = members(parseJsonText(text), 'rows');
  const [rows, next] = [page.get('rows'), page.get('next')];
  if (rows?.kind !== 'array') throw malformed('rows');
  const entries = rows.items.map((row) => members(row, 'row'));
  return { entries, next: next?.kind === 'string' ? next.value : null };
}

function members(node: JsonNode, what: string): Row {
  if (node.kind !== 'object') throw malformed(what);
  return new Map(node.members);
}

function parsePage<T>(response: unknown, name: string, entry: (value: unknown) => T): Page<T> {
  const fields = asFields(response, name);
  return {
    entries: asArray(fields[name], name).map(entry),
    next: orNull(fields.next, (next) => asText(next, 'next')),
  };
}

function parsePlan(value: unknown): Plan {
  const fields = asFields(value, 'plan');
  return {
    changes: asArray(fields.tables, 'tables').map((change) => {
      const { table, created, columns } = asFields(change, 'change');
      return {
        table: asText(table, 'table'),
        created: asBoolean(created, 'created'),
        columns: asArray(columns, 'columns').map(parseColumn),
      };
    }),
    rejection: orNull(fields.rejection, (rejection) => {
      const { activity, error } = asFields(rejection, 'rejection');
      return {
        activity: orNull(activity, (index) => asInteger(index, 'activity')),
        error: asText(error, 'error'),
      };
    }),
  };
}

function parseId(response: unknown): string {
  return asText(asFields(response, 'id').id, 'id');
}

/** An absent member is null. */
function orNull<T>(value: unknown, parse: (value: unknown) => T): T | null {
  return value === null || value === undefined ? null : parse(value);
}

function asOneOf<T extends string>(choices: readonly T[], value: unknown, what: string): T {
  const choice = choices.find((one) => one === value);
  if (choice === undefined) throw malformed(what);
  return choice;
}
