/**
 * A lab without databases: the built page, and its API over invented numbers. For developing the page,
 * and for states that a real lab cannot be brought into at will (invalid runs, lost connections).
 *
 *     node support/fakeLab.js [PORT]
 */
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { fakeDatabases, fakeWindow, PATTERNS } from './fakeLabData.js';
import { startServer } from './upstream.js';

const DIST = resolve(import.meta.dirname, '../../client-dist');
const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css' };
const TARGETS = ['sql', 'sqlrep', 'spanner'];

/** Starts a fake lab; `secondMs` is how long a second of a run takes. */
export async function startFakeLab({ secondMs = 1_000, standIns = false, port = 0 } = {}) {
  const lab = new FakeLab(secondMs, fakeDatabases(standIns));
  const server = await startServer((request, response) => lab.handle(request, response), port);
  lab.origin = server.origin;
  lab.stop = async () => {
    clearInterval(lab.timer);
    await server.stop();
  };
  return lab;
}

class FakeLab {
  origin = '';
  /** Newest first. */
  jobs = [];
  cached = new Map();
  /** All events of all jobs, in their order. */
  events = [];
  /** What the next start answers instead: `{status, detail, retryAfter}`. */
  refusal = null;
  /** Applied to each new job before it runs: changes it, for example makes it invalid. */
  alter = () => {};
  /** The `Last-Event-ID` of each stream that continued an earlier one. */
  continuedAfter = [];
  #streams = new Set();

  constructor(secondMs, databases) {
    this.secondMs = secondMs;
    this.databases = databases;
    this.timer = setInterval(() => this.#tick(), secondMs);
  }

  handle(request, response) {
    const url = new URL(request.url, 'http://lab');
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      const answer = this.#route(request.method, url, body === '' ? {} : JSON.parse(body), request);
      if (answer === undefined) this.#page(url.pathname, response);
      else answer(response);
    });
  }

  #route(method, url, body, request) {
    const parts = url.pathname.split('/').slice(1);
    const [first, second, third] = parts;
    switch (`${method} ${first}`) {
      case 'GET lab':
        return second === undefined ? json(this.#info()) : undefined;
      case 'POST run':
        return this.#start(body, TARGETS, 'job_ids');
      case 'POST fail':
        return this.#start({ ...body, intensity: 3, sql_size: 1 }, ['sql'], 'jobs_id');
      case 'POST cached':
        return json({ job_ids: TARGETS.map((target) => keyOf(target, body)) });
      case 'GET cached':
        return second === undefined
          ? json([...this.cached.values()].map(({ entry }) => entry))
          : this.#cachedWindows(second, parts[3]);
      case 'GET jobs':
        if (second === undefined) return json(this.jobs.map(({ job }) => job));
        if (second === 'events') return this.#follow(url.searchParams.get('ids'), request);
        return this.#ofJob(second, third);
      case 'POST jobs':
        return this.#act(second, third);
      default:
        return undefined;
    }
  }

  #info() {
    return {
      version: '0.1.0',
      rate_scale: 1,
      seconds: 30,
      keys: 'uniform',
      patterns: PATTERNS,
      machine: { cores: 2, memory_bytes: 25_280_000_000, os: 'Linux 6.1' },
      databases: this.databases,
    };
  }

  #start(body, targets, field) {
    if (this.refusal) {
      const { status, detail, retryAfter } = this.refusal;
      return problem(status, detail, { 'retry-after': String(retryAfter) });
    }
    const runId = randomUUID();
    const entries = targets.map((target) => this.#newJob(runId, target, body));
    const ids = entries.map(({ job }) => job.id);
    return json(field === 'job_ids' ? { job_ids: ids } : { jobs_id: ids[0] });
  }

  #newJob(runId, target, body) {
    const type = TARGETS.indexOf(target) + 1;
    const size = [body.sql_size, body.sql_rep_size, body.spanner_size][type - 1] ?? 1;
    const mode = body.mode ?? 'together';
    const database = this.databases.find(
      (one) => one.database_type === type && one.database_size === size,
    );
    const job = {
      id: randomUUID(),
      run_id: runId,
      target,
      database_type: type,
      database_size: size,
      intensity: body.intensity,
      read_pattern: body.read_pattern,
      write_pattern: body.write_pattern,
      seconds: body.seconds ?? 30,
      mode,
      state: mode === 'in_turns' && type > 1 ? 'waiting' : 'running',
      valid: true,
      why: null,
      database: {
        name: database.name,
        stand_in: database.stand_in,
        shared_machine: database.shared_machine,
      },
      faults: (body.faults ?? []).filter((fault) => fault.target.split('-')[0] === target),
      created_at: new Date().toISOString(),
      started_at: null,
      finished_at: null,
      cached_as: null,
    };
    this.alter(job);
    const entry = { job, windows: [], elapsed: 0 };
    this.jobs.unshift(entry);
    this.#publish('state', job.id, job);
    return entry;
  }

  /** One second of every run: its newest window, and an older one that is final now. */
  #tick() {
    for (const entry of this.jobs) {
      const { job } = entry;
      if (job.state !== 'running') continue;
      entry.elapsed += 1;
      const second = entry.elapsed - 2;
      if (second >= 0 && second < job.seconds) this.#window(entry, second, false);
      if (second >= 3) this.#window(entry, second - 3, true);
      if (job.fail_at === second) this.#end(entry, 'failed');
      else if (second >= job.seconds + 2) this.#end(entry, 'finished');
    }
  }

  #window(entry, second, final) {
    const window = fakeWindow(entry.job, second, final);
    entry.windows[second] = window;
    this.#publish('window', entry.job.id, { job_id: entry.job.id, ...window });
  }

  #end(entry, state) {
    for (const window of entry.windows) if (!window.final) this.#window(entry, window.second, true);
    Object.assign(entry.job, { state, finished_at: new Date().toISOString() });
    this.#publish('state', entry.job.id, entry.job);
    this.#publish('end', entry.job.id, { job_id: entry.job.id });
    for (const stream of this.#streams) stream.close();
    const next = this.jobs.findLast(
      ({ job }) => job.run_id === entry.job.run_id && job.state === 'waiting',
    );
    if (next === undefined) return;
    next.job.state = 'running';
    this.#publish('state', next.job.id, next.job);
  }

  #publish(kind, id, data) {
    const number = this.events.length + 1;
    const text = `id: ${number}\nevent: ${kind}\ndata: ${JSON.stringify(data)}\n\n`;
    const event = { number, id, text };
    this.events.push(event);
    for (const stream of this.#streams) stream.send(event);
  }

  #follow(ids, request) {
    const wanted = new Set(ids.split(','));
    const after = Number(request.headers['last-event-id'] ?? 0);
    if (after > 0) this.continuedAfter.push(after);
    const missed = this.events.filter(({ id, number }) => wanted.has(id) && number > after);
    const ended = () =>
      this.jobs.every(({ job }) => !wanted.has(job.id) || job.finished_at !== null);
    return (response) => {
      if (missed.length === 0 && ended()) {
        response.writeHead(204).end();
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
      // The browser's default is some seconds, in which a fast run would end.
      response.write('retry: 300\n\n');
      const stream = {
        response,
        send: ({ id, text }) => {
          if (wanted.has(id)) response.write(text);
        },
        close: () => {
          if (!ended()) return;
          this.#streams.delete(stream);
          response.end();
        },
      };
      this.#streams.add(stream);
      for (const event of missed) stream.send(event);
      stream.close();
      response.on('close', () => this.#streams.delete(stream));
    };
  }

  /** Cuts all streams, as a lost network does. */
  cutStreams() {
    for (const { response } of this.#streams) response.destroy();
  }

  #ofJob(id, what) {
    const entry = this.jobs.find(({ job }) => job.id === id);
    if (entry === undefined) return problem(404, 'There is no such job.');
    return json(what === 'transactions' ? entry.windows : entry.job);
  }

  #cachedWindows(key, patterns) {
    const found = this.cached.get(`${key} ${patterns}`);
    return found ? json(found.windows) : problem(404, 'There is no such cached run.');
  }

  #act(id, action) {
    const entry = this.jobs.find(({ job }) => job.id === id);
    if (entry === undefined) return problem(404, 'There is no such job.');
    const { job } = entry;
    if (action === 'stop') this.#end(entry, 'stopped');
    else this.keep(entry);
    return json(job);
  }

  keep({ job, windows }) {
    const key = `${job.target}-${job.database_size}-${job.intensity}`;
    job.cached_as = key;
    const { read_pattern, write_pattern, seconds, database } = job;
    const entry = {
      key,
      read_pattern,
      write_pattern,
      seconds,
      database,
      recorded_at: job.created_at,
    };
    this.cached.set(`${key} ${read_pattern}-${write_pattern}`, { entry, windows });
  }

  /** Adds a finished run, as if it had been measured before. */
  addRun(body, createdAt, alter = () => {}) {
    const runId = randomUUID();
    return TARGETS.map((target) => {
      const entry = this.#newJob(runId, target, body);
      Object.assign(entry.job, {
        state: 'finished',
        created_at: createdAt,
        finished_at: createdAt,
      });
      alter(entry.job);
      entry.windows = Array.from({ length: entry.job.seconds }, (_, second) =>
        fakeWindow(entry.job, second, true),
      );
      return entry;
    });
  }

  #page(pathname, response) {
    const isFile = extname(pathname) !== '';
    const file = join(DIST, isFile ? pathname : 'lab.html');
    response.setHeader('content-type', TYPES[extname(file)] ?? 'image/svg+xml');
    response.end(readFileSync(file));
  }
}

function keyOf(target, body) {
  const size = { sql: body.sql_size, sqlrep: body.sql_rep_size, spanner: body.spanner_size }[
    target
  ];
  return `${target}-${size}-${body.intensity}`;
}

function json(value) {
  return (response) => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(value));
  };
}

function problem(status, detail, headers = {}) {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/problem+json', ...headers });
    response.end(JSON.stringify({ status, detail }));
  };
}

if (process.argv[1] === import.meta.filename) {
  const lab = await startFakeLab({ port: Number(process.argv[2] ?? 3100) });
  console.log(`a fake lab is ready: open ${lab.origin}/`);
}
