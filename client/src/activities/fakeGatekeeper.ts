import { fetchMock } from '../api/fetchMock';

export interface SentRequest {
  readonly method: string;
  /** Below `/api/activities`, with the query. */
  readonly target: string;
  readonly key: string | null;
  readonly contentType: string | null;
  readonly body: string | null;
}

type Answer = (request: SentRequest) => Response;

/** For tests: answers the page's requests in memory and records them. */
export class FakeGatekeeper {
  readonly requests: SentRequest[] = [];
  readonly status = {
    accepted: 12,
    invalid: 3,
    applied: 10,
    rejected: 2,
    queued: { messages: 1, bytes: 2_048, oldest_age_seconds: 65.25 as number | null },
    worker: 'active',
  };
  readonly messages: ReturnType<typeof message>[] = [];
  rejections: { cause: string; count: number; example: string }[] = [];
  tables: { table: string; columns: object[]; rows: number; last_applied_at: string }[] = [];
  /** Answers that replace those below, by method and target without the query. */
  readonly overrides = new Map<string, Answer>();

  constructor() {
    fetchMock.mockImplementation(async (url, init) => this.#answer(url, init ?? {}));
  }

  /** All requests of a method and target, which is matched from its beginning. */
  sent(method: string, target: string): SentRequest[] {
    return this.requests.filter(
      (request) => request.method === method && request.target.startsWith(target),
    );
  }

  #answer(url: Parameters<typeof fetch>[0], { method = 'GET', headers, body }: RequestInit) {
    const target = String(url).replace('http://store.example/api/activities', '');
    const sent = new Headers(headers);
    const request: SentRequest = {
      method,
      target,
      key: sent.get('Idempotency-Key'),
      contentType: sent.get('Content-Type'),
      body: typeof body === 'string' ? body : null,
    };
    this.requests.push(request);
    const path = target.split('?')[0] ?? '';
    return (this.overrides.get(`${method} ${path}`) ?? this.#route(method, path))(request);
  }

  #route(method: string, path: string): Answer {
    const query = (request: SentRequest) => new URLSearchParams(request.target.split('?')[1]);
    switch (`${method} ${path}`) {
      case 'GET /status':
        return () => json(this.status);
      case 'GET ':
        return (request) => {
          const state = query(request).get('state');
          const all = this.messages.filter((one) => state === null || one.state === state);
          const from = Number(query(request).get('after') ?? 0);
          const next = from + 10 < all.length ? String(from + 10) : null;
          return json({ activities: all.slice(from, from + 10), next });
        };
      case 'GET /rejections':
        return () => json({ rejections: this.rejections, next: null });
      case 'GET /tables':
        return () => json(this.tables);
      default:
        return () => {
          const found = this.messages.find(({ id }) => path === `/${id}`);
          return found ? json(found) : problem(404, 'There is no such message.');
        };
    }
  }
}

export function message(id: string, state: 'queued' | 'applied' | 'rejected', more: object = {}) {
  const rejected = state === 'rejected';
  return {
    id,
    state,
    error: rejected ? 'The table `t` does not exist.' : null,
    activity: rejected ? 0 : null,
    received_at: '2026-01-02T03:04:05.100Z',
    applied_at: state === 'applied' ? '2026-01-02T03:04:05.168Z' : null,
    attempts: 0,
    retry_of: null,
    retried_as: null as string | null,
    ...more,
  };
}

export function json(body: unknown, status = 200): Response {
  return new Response(JSON.stringify(body), { status });
}

export function problem(status: number, detail: string): Response {
  return json({ type: 'about:blank', title: '', status, detail }, status);
}

export function accepted(id: string): Response {
  return json({ status: 200, payload: {}, message: 'Valid Schema', error: null, id });
}

export function invalid(error: string): Response {
  return json({ status: 400, payload: null, message: 'Invalid Schema', error }, 400);
}
