import type { ReactNode } from 'react';
import type { ErrorKind } from '../api/errors';
import { ClosedShopIcon } from './icons';
import { RetryButton } from './RetryButton';
import { StatusPanel } from './StatusPanel';

interface ErrorText {
  readonly title: string;
  readonly text: string;
}

const UNEXPECTED: ErrorText = {
  title: 'The store is out of order',
  text: 'It gave an answer that this page cannot use. Trying again may help.',
};

const TEXTS: Record<ErrorKind, ErrorText> = {
  unreachable: {
    title: 'The store cannot be reached',
    text: 'It does not answer at the moment. Nothing is lost; please try again in a little while.',
  },
  refused: {
    title: 'The store does not know this place',
    text: 'The address may be incomplete, or older than the catalogue.',
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
  return (
    <StatusPanel
      icon={<ClosedShopIcon />}
      title={TEXTS[kind].title}
      headingLevel={headingLevel}
      actions={
        <>
          <RetryButton onRetry={() => void query.refetch()} busy={query.isFetching} />
          {actions}
        </>
      }
      urgent
    >
      {TEXTS[kind].text}
    </StatusPanel>
  );
}
