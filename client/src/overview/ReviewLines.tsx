import { useMemo } from 'react';
import { useReviews } from '../api/queries';
import { Tooltip } from '../ui/Tooltip';
import { count, explain, type Span } from './sentences';
import { percentPositive, recentOf, sentimentOf, type Tally, tally } from './sentiment';

const TITLES: Record<Span, string> = { recent: 'Recent reviews', all: 'All reviews' };

/** The two review lines, as rows of the facts list. */
export function ReviewLines({ id }: { id: number }) {
  const { data, isPending, refetch, isFetching } = useReviews(id);
  const tallies = useMemo(
    () => data && { recent: tally(recentOf(data, Date.now())), all: tally(data) },
    [data],
  );
  if (tallies) {
    return (
      <>
        <ReviewLine span="recent" tally={tallies.recent} />
        <ReviewLine span="all" tally={tallies.all} />
      </>
    );
  }
  return isPending || isFetching ? <Loading /> : <Unavailable onRetry={() => void refetch()} />;
}

function ReviewLine({ span, tally }: { span: Span; tally: Tally }) {
  const sentiment = sentimentOf(tally);
  return (
    <div className="sf-facts__row sf-review" data-reviews={span}>
      <dt>{TITLES[span]}</dt>
      {sentiment === null ? (
        <dd className="sf-muted">No user reviews</dd>
      ) : (
        <dd>
          <Tooltip text={explain(tally, span)} className={`sf-tone sf-tone--${sentiment.tone}`}>
            {sentiment.label}
          </Tooltip>{' '}
          <span className="sf-muted">({count(tally.total)})</span>
          <PercentBar percent={percentPositive(tally)} tone={sentiment.tone} />
        </dd>
      )}
    </div>
  );
}

/** The positive share as a bar; the tooltip says the same in words. */
function PercentBar({ percent, tone }: { percent: number; tone: string }) {
  return (
    <span className={`sf-percent sf-tone--${tone}`} aria-hidden="true">
      <span style={{ inlineSize: `${percent}%` }} />
    </span>
  );
}

function Loading() {
  return (['recent', 'all'] as const).map((span) => (
    <div className="sf-facts__row" key={span}>
      <dt>{TITLES[span]}</dt>
      <dd>
        <span className="sf-skeleton sf-skeleton--line" />
      </dd>
    </div>
  ));
}

function Unavailable({ onRetry }: { onRetry: () => void }) {
  return (
    <div className="sf-facts__row" data-reviews="unavailable">
      <dt>Reviews</dt>
      <dd>
        <span className="sf-muted">Not available right now.</span>{' '}
        <button type="button" className="sf-link" onClick={onRetry}>
          Try again
        </button>
      </dd>
    </div>
  );
}
