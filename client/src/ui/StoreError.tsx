import type { ReactNode } from 'react';
import type { ErrorKind } from '../api/errors';
import { ClosedShopIcon, EmptyShelfIcon } from './icons';
import { RetryButton } from './RetryButton';
import { StatusPanel } from './StatusPanel';

interface ErrorText {
  readonly title: string;
  readonly text: string;
}

const UNEXPECTED: ErrorText = {
  title: 'Something went wrong',
  text: 'An unexpected error occurred. Please try again.',
};

const TEXTS: Record<ErrorKind, ErrorText> = {
  unreachable: {
    title: 'The store cannot be reached',
    text: 'It is not responding right now. Nothing has been lost; please try again in a moment.',
  },
  refused: {
    title: 'Page not found',
    text: 'The address may be incomplete or out of date.',
  },
  missing: UNEXPECTED,
  failed: UNEXPECTED,
  malformed: UNEXPECTED,
};

interface Props {
  kind: ErrorKind;
  headingLevel: 1 | 2;
  /** What the retry button repeats. */
  query: { refetch: () => unknown; isFetching: boolean };
  /** Offered beside the retry. */
  actions?: ReactNode;
}

/** Replaces content that could not be loaded. */
export function StoreError({ kind, headingLevel, query, actions }: Props) {
  // The store would refuse a repeat, too.
  const retry = kind !== 'refused';
  return (
    <StatusPanel
      icon={retry ? <ClosedShopIcon /> : <EmptyShelfIcon />}
      title={TEXTS[kind].title}
      headingLevel={headingLevel}
      actions={
        <>
          {retry && <RetryButton onRetry={() => void query.refetch()} busy={query.isFetching} />}
          {actions}
        </>
      }
      urgent
    >
      {TEXTS[kind].text}
    </StatusPanel>
  );
}
