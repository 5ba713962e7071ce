import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { explainFailure } from './explain';

interface Props<T> {
  query: UseQueryResult<T>;
  /** What is loaded, for the message that it could not be. */
  what: string;
  children: (data: T) => ReactNode;
}

/** What was loaded last; before that a skeleton, and above it why it could not be refreshed. */
export function Loaded<T>({ query, what, children }: Props<T>) {
  const { data, error, refetch } = query;
  return (
    <>
      <div role="status">
        {error && (
          <p className="activities__stale">
            {data === undefined ? `${what} could not be loaded.` : `${what} may be out of date.`}{' '}
            {explainFailure(error)}{' '}
            <button type="button" className="sf-link" onClick={() => void refetch()}>
              Try again
            </button>
          </p>
        )}
        {!error && data === undefined && (
          <span className="sf-visually-hidden">Loading {what.toLowerCase()}…</span>
        )}
      </div>
      {data !== undefined ? children(data) : !error && <Skeleton />}
    </>
  );
}

function Skeleton() {
  return (
    <div aria-hidden="true">
      <span className="sf-skeleton sf-skeleton--line" />
      <span className="sf-skeleton sf-skeleton--line" />
      <span className="sf-skeleton sf-skeleton--line" />
    </div>
  );
}
