import { useMemo } from 'react';
import { useReviews } from '../api/queries';
import { formatNumber } from '../ui/format';
import { Tooltip } from '../ui/Tooltip';
import { Unavailable } from '../ui/Unavailable';
import {
  describeTally,
  type Period,
  percentPositive,
  recentOf,
  sentimentOf,
  type Tally,
  tally,
} from './sentiment';

const TITLES: Record<Period, string> = { recent: 'Recent reviews', all: 'All reviews' };

/** The two review lines, as rows of the list of facts. */
export function ReviewLines({ id }: { id: number }) {
  const { data, isPending, refetch, isFetching } = useReviews(id);
  const tallies = useMemo(
    () => data && { recent: tally(recentOf(data, Date.now())), all: tally(data) },
    [data],
  );
  if (tallies) {
    return (
      <>
        <ReviewLine period="recent" tally={tallies.recent} />
        <ReviewLine period="all" tally={tallies.all} />
      </>
    );
  }
  return isPending || isFetching ? <Loading /> : <UnavailableRow onRetry={() => void refetch()} />;
}

function ReviewLine({ period, tally }: { period: Period; tally: Tally }) {
  const sentiment = sentimentOf(tally);
  return (
    <div className="sf-facts__row" data-reviews={period}>
      <dt>{TITLES[period]}</dt>
      {sentiment === null ? (
        <dd className="sf-muted">No user reviews</dd>
      ) : (
        <dd>
          <Tooltip
            text={describeTally(tally, period)}
            className={`sf-tone sf-tone--${sentiment.tone}`}
          >
            {sentiment.label}
          </Tooltip>{' '}
          <span className="sf-muted">({formatNumber(tally.total)})</span>
          <PercentBar percent={percentPositive(tally)} tone={sentiment.tone} />
        </dd>
      )}
    </div>
  );
}

/** The positive share as a bar; hidden from screen readers, which get it from the tooltip. */
function PercentBar({ percent, tone }: { percent: number; tone: string }) {
  return (
    <span className={`sf-percent sf-tone--${tone}`} aria-hidden="true">
      <span style={{ inlineSize: `${percent}%` }} />
    </span>
  );
}

function Loading() {
  return (['recent', 'all'] as const).map((period) => (
    <div className="sf-facts__row" key={period}>
      <dt>{TITLES[period]}</dt>
      <dd>
        <span className="sf-skeleton sf-skeleton--line" />
      </dd>
    </div>
  ));
}

function UnavailableRow({ onRetry }: { onRetry: () => void }) {
  return (
    <div className="sf-facts__row" data-reviews="unavailable">
      <dt>Reviews</dt>
      <dd>
        <Unavailable onRetry={onRetry} />
      </dd>
    </div>
  );
}
