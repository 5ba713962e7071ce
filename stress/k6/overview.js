// Constant arrival rate against /api/overview, one route a run.
//
//   k6 run --no-usage-report -e BASE=http://127.0.0.1:3000 -e ROUTE=get -e RATE=1000 \
//     stress/k6/overview.js
//
// Settings: BASE, ROUTE (get or post), RATE, SECONDS, ROWS, SEED, USERS.
// Prints one JSON object in the format of the other load clients. `latency` is what a user feels:
// waiting for a connection, sending, and the whole answer. k6 starts an iteration when it is due
// or, with no virtual user free, drops and counts it; how late it started is `client_late_*`.
import { randomSeed } from 'k6';
import exec from 'k6/execution';
import http from 'k6/http';
import { Counter, Trend } from 'k6/metrics';

const setting = (name, fallback) => __ENV[name] || fallback;
const base = setting('BASE', 'http://127.0.0.1:3000');
const route = setting('ROUTE', 'get');
const rate = Number(setting('RATE', '100'));
const seconds = Number(setting('SECONDS', '10'));
const rows = Number(setting('ROWS', '300000'));
const seed = Number(setting('SEED', '1'));
const users = Number(setting('USERS', '64'));

const post = open('../bodies/post.json');
const json = { headers: { 'Content-Type': 'application/json' }, tags: { name: route } };
const bare = { tags: { name: route } };
const requests = {
  get: () => http.get(`${base}/api/overview/${1 + Math.floor(Math.random() * rows)}`, bare),
  post: () => http.post(`${base}/api/overview`, post, json),
};
if (!(route in requests)) {
  throw new Error(`ROUTE is ${Object.keys(requests).join(' or ')}, not ${route}`);
}
if (!/^http:\/\/(127\.0\.0\.1|localhost|\[::1\]):\d+$/.test(base)) {
  throw new Error(`BASE is http://127.0.0.1:PORT on this machine, not ${base}`);
}

const latency = new Trend('latency', true);
const late = new Trend('client_late');
const ok = new Counter('ok');
// One counter a status: tags would be lost in the summary.
const failures = [0, 400, 404, 408, 409, 413, 429, 500, 502, 503, 504];
const failed = Object.fromEntries(
  failures.map((status) => [status, new Counter(`failed_${status}`)]),
);
const failedOtherwise = new Counter('failed_other');

export const options = {
  scenarios: {
    overview: {
      executor: 'constant-arrival-rate', rate, timeUnit: '1s', duration: `${seconds}s`,
      preAllocatedVUs: users, maxVUs: users, gracefulStop: '2s',
    },
  },
  discardResponseBodies: true,
  summaryTrendStats: ['avg', 'med', 'p(95)', 'p(99)', 'max'],
  systemTags: ['name', 'status'],
};

let seeded = false;

export default function () {
  const due = exec.scenario.startTime + (exec.scenario.iterationInTest * 1000) / rate;
  late.add(Math.max(0, Date.now() - due));
  if (!seeded) {
    randomSeed(seed * 1000 + exec.vu.idInTest);
    seeded = true;
  }
  const answer = requests[route]();
  if (answer.status >= 200 && answer.status < 300) {
    ok.add(1);
    latency.add(answer.timings.blocked + answer.timings.duration);
  } else {
    (failed[answer.status] || failedOtherwise).add(1);
  }
}

export function handleSummary({ metrics }) {
  const count = (name) => (metrics[name] ? metrics[name].values.count : 0);
  const of = (name, figure) => (metrics[name] ? metrics[name].values[figure] : 0);
  const errors = {};
  for (const status of [...failures, 'other']) {
    const times = count(`failed_${status}`);
    if (times) errors[status === 0 ? 'broken' : status] = times;
  }
  const due = count('http_reqs') + count('dropped_iterations');
  const report = {
    client: 'k6', route, seconds, connections: users, seed,
    offered: rate, achieved: count('ok') / Math.max(seconds, due / rate),
    sent: count('http_reqs'), ok: count('ok'), dropped: count('dropped_iterations'), errors,
    client_late_p99_ms: of('client_late', 'p(99)'), client_late_max_ms: of('client_late', 'max'),
    mean_ms: of('latency', 'avg'), p50_ms: of('latency', 'med'), p95_ms: of('latency', 'p(95)'),
    p99_ms: of('latency', 'p(99)'), max_ms: of('latency', 'max'),
  };
  return { stdout: `${JSON.stringify(report)}\n` };
}
