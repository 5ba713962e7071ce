import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import type { Status } from '../api/activities';
import { formatNumber, plural } from '../ui/format';
import { explainFailure } from './explain';
import { formatBytes, formatClock, formatDuration } from './format';

const WORKERS: Record<Status['worker'], { name: string; hint: string }> = {
  active: { name: 'Active', hint: 'Applies messages' },
  standby: { name: 'Standby', hint: 'Another one is active' },
  none: { name: 'None', hint: 'Not on this server' },
};

/** What happened to messages so far and what is queued; refreshed each second, hence no live region. */
export function Counters({ query }: { query: UseQueryResult<Status> }) {
  const { data, error, dataUpdatedAt } = query;
  return (
    <section className="counters" aria-labelledby="counters">
      <h2 id="counters" className="sf-visually-hidden">
        Counters
      </h2>
      <dl className="counters__list" aria-busy={data === undefined}>
        <Counter name="Accepted" value={data?.accepted} hint="Put into the queue" />
        <Counter name="Invalid" value={data?.invalid} hint="Not accepted" />
        <Counter
          name="Queued"
          value={data?.queued.messages}
          hint={data && formatBytes(data.queued.bytes)}
        />
        <Counter name="Applied" value={data?.applied} hint="Took effect" tone="good" />
        <Counter
          name="Rejected"
          value={data?.rejected}
          hint="Had no effect"
          tone={data && data.rejected > 0 ? 'bad' : undefined}
        />
        <Counter
          name="Lag"
          value={data && (data.lag === null ? '0 s' : formatDuration(data.lag))}
          hint="Age of the oldest queued"
        />
        <Counter
          name="Worker"
          value={data && WORKERS[data.worker].name}
          hint={data && WORKERS[data.worker].hint}
          tone={data?.worker === 'active' ? 'good' : undefined}
        />
      </dl>
      <p className="counters__note" role="status">
        {error && data ? (
          <span className="activities__stale">
            {explainFailure(error)} These figures are from {formatClock(dataUpdatedAt).slice(0, 8)}.
          </span>
        ) : (
          'Accepted, invalid, applied and rejected are counted since this server started.'
        )}
      </p>
    </section>
  );
}

interface CounterProps {
  name: string;
  /** Undefined while it is loading. */
  value: number | string | undefined;
  hint: ReactNode;
  tone?: 'good' | 'bad' | undefined;
}

function Counter({ name, value, hint, tone }: CounterProps) {
  return (
    <div className="counter" data-tone={tone}>
      <dt>{name}</dt>
      <dd className="counter__value">
        {value === undefined ? (
          <span className="sf-skeleton sf-skeleton--line" />
        ) : typeof value === 'number' ? (
          <Compact value={value} />
        ) : (
          value
        )}
      </dd>
      <dd className="counter__hint">{hint}</dd>
    </div>
  );
}

/** Large numbers in full are wider than a counter. */
function Compact({ value }: { value: number }) {
  if (value < 10_000_000) return formatNumber(value);
  return (
    <span title={plural(value, 'message')}>{formatNumber(Math.floor(value / 1_000_000))} M</span>
  );
}
