/** Invented databases and windows; the same for the same job and second. */

export const PATTERNS = { 1: [100], 2: [200], 3: [100, 600, 300, 600] };

const NAMES = ['PostgreSQL 18.6', 'PostgreSQL 18.6 with a read replica', 'Cassandra 5.0.6'];
const STAND_INS = [
  'SQLite, one file, one thread of writes',
  'SQLite, one file, a reading connection',
  'SQLite, three files',
];
const STANDS_FOR = [
  'one SQL server, such as PostgreSQL',
  'an SQL server with a read replica',
  'a distributed database, such as Cassandra',
];
/** Seconds of a read and a write without load, and transactions a second that are too many. */
const BASE = {
  sql: { read: 0.0012, write: 0.0031, limit: 1_500 },
  sqlrep: { read: 0.0014, write: 0.0042, limit: 1_800 },
  spanner: { read: 0.0036, write: 0.0069, limit: 2_600 },
};

export function fakeDatabases(standIns) {
  return [1, 2, 3].flatMap((type) =>
    [1, 2, 3].map((size) => ({
      database_type: type,
      database_size: size,
      name: (standIns ? STAND_INS : NAMES)[type - 1],
      stand_in: standIns,
      stands_for: standIns ? STANDS_FOR[type - 1] : null,
      shared_machine: true,
      state: 'free',
      why: null,
    })),
  );
}

export function fakeWindow(job, second, final) {
  const rate = (pattern) => {
    const rates = PATTERNS[pattern];
    return rates[second % rates.length] * job.intensity;
  };
  const [reads, writes] = [rate(job.read_pattern), rate(job.write_pattern)];
  const { limit } = BASE[job.target];
  const capacity = limit * (0.6 + 0.4 * job.database_size);
  const load = (reads + 2 * writes) / capacity;
  return {
    timestamp: new Date(Date.parse(job.created_at) + second * 1_000).toISOString(),
    second,
    final,
    read: side(job, 'read', reads, second, load, final),
    write: side(job, 'write', writes, second, load, final),
    driver: { lag_p99: 0.0004 + 0.0002 * noise(second), cpu: 0.31 },
  };
}

function side(job, name, offered, second, load, final) {
  const broken = job.faults.some(({ at, seconds }) => second >= at && second < at + seconds);
  const recovering = job.faults.some(({ at, seconds }) => second === at + seconds);
  const wobble = 0.8 + 0.4 * noise(second * 7 + job.target.length + name.length * 3);
  const queueing = 1 / Math.max(0.06, 1 - load);
  const mean = BASE[job.target][name] * wobble * queueing * (recovering ? 6 : 1);
  const overload = Math.max(0, load - 0.9) * (name === 'write' ? 0.5 : 0.25) * wobble;
  const lost = broken ? offered : Math.round(offered * Math.min(0.9, overload));
  const unsent = Math.round(lost * 0.4);
  const pending = final ? 0 : Math.round(offered * 0.02);
  const failed = Math.max(0, lost - unsent);
  const ok = Math.max(0, offered - failed - unsent - pending);
  const time = broken ? 5 : mean;
  return {
    offered,
    count: offered,
    ok,
    failed,
    unsent,
    pending: offered - ok - failed - unsent,
    average_latency: broken && !final ? null : time,
    failure_percent: (100 * (failed + unsent)) / offered,
    p50: time * 0.8,
    p95: time * 1.9,
    p99: broken && !final ? null : Math.min(5, time * (2.6 + wobble)),
    errors: failed > 0 ? { timeout: failed } : {},
  };
}

/** 0 to 1, the same for the same number. */
function noise(number) {
  const value = Math.sin(number * 12.9898) * 43758.5453;
  return value - Math.floor(value);
}
