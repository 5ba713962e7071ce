import { vi } from 'vitest';
import { fetchMock } from '../api/fetchMock';
import { INFO_ANSWER, type jobAnswer, type windowAnswer } from './fixtures';

type JobAnswer = ReturnType<typeof jobAnswer>;
type WindowAnswer = ReturnType<typeof windowAnswer>;

/** For tests: answers the page's requests in memory, records them, and sends events. */
export class FakeLab {
  readonly posts: { readonly path: string; readonly body: unknown }[] = [];
  info: object = INFO_ANSWER;
  jobs: JobAnswer[] = [];
  readonly windows = new Map<string, WindowAnswer[]>();
  cached: object[] = [];
  /** By method and path: answers that replace those below. */
  readonly overrides = new Map<string, () => Response>();

  constructor() {
    FakeEventSource.all = [];
    vi.stubGlobal('EventSource', FakeEventSource);
    fetchMock.mockImplementation(async (url, init) => this.#answer(String(url), init ?? {}));
  }

  #answer(url: string, { method = 'GET', body }: RequestInit): Response {
    const { pathname } = new URL(url);
    if (method === 'POST') this.posts.push({ path: pathname, body: JSON.parse(String(body)) });
    const override = this.overrides.get(`${method} ${pathname}`);
    if (override) return override();
    const [first, id, rest] = pathname.split('/').slice(1);
    if (method === 'POST') return this.#post(first, id, rest);
    if (first === 'lab') return json(this.info);
    if (first === 'cached' && id === undefined) return json(this.cached);
    if (first !== 'jobs') return problem(404, 'There is nothing here.');
    if (id === undefined) return json(this.jobs);
    const job = this.jobs.find((one) => one.id === id);
    if (job === undefined) return problem(404, 'There is no such job.');
    return json(rest === 'transactions' ? (this.windows.get(id) ?? []) : job);
  }

  #post(first = '', id = '', action = ''): Response {
    if (first === 'run') return json({ job_ids: this.jobs.map((one) => one.id) });
    if (first === 'fail') return json({ jobs_id: this.jobs[0]?.id });
    if (first === 'cached') return json({ job_ids: ['sql-1-1', 'sqlrep-1-1', 'spanner-1-1'] });
    const job = this.jobs.find((one) => one.id === id);
    if (job === undefined) return problem(404, 'There is no such job.');
    const change = action === 'stop' ? { state: 'stopped' } : { cached_as: 'sql-1-1' };
    return json(Object.assign(job, change));
  }
}

/** For tests: a stream whose events and interruptions the test makes. */
export class FakeEventSource extends EventTarget {
  static readonly CLOSED = 2;
  static all: FakeEventSource[] = [];

  static get latest(): FakeEventSource {
    const latest = FakeEventSource.all.at(-1);
    if (latest === undefined) throw new Error('no stream was opened');
    return latest;
  }

  readonly url: string;
  readyState = 0;
  onopen: (() => void) | null = null;
  onerror: (() => void) | null = null;

  constructor(url: string) {
    super();
    this.url = url;
    FakeEventSource.all.push(this);
  }

  close(): void {
    this.readyState = FakeEventSource.CLOSED;
  }

  emit(type: 'window' | 'state' | 'end', data: unknown): void {
    const text = typeof data === 'string' ? data : JSON.stringify(data);
    this.dispatchEvent(new MessageEvent(type, { data: text }));
  }
}

export function json(body: unknown, status = 200, headers: Record<string, string> = {}): Response {
  return new Response(JSON.stringify(body), { status, headers });
}

export function problem(status: number, detail: string, headers = {}): Response {
  return json({ status, detail }, status, headers);
}
