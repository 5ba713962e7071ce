import type { UseQueryResult } from '@tanstack/react-query';
import type { ReactNode } from 'react';
import { useLastErrorKind } from '../api/useLastErrorKind';
import { useDocumentTitle } from '../router/useDocumentTitle';
import { useFocusAfterRetry } from '../router/useFocusAfterRetry';
import { StoreError } from './StoreError';

interface Options {
  /** Title of the document unless the query has failed. */
  title: string;
  /** False while the page does not depend on the query. */
  enabled?: boolean;
  /** Offered beside the retry. */
  actions?: ReactNode;
}

/** The error page for a page whose data could not be loaded; null while there is no error. */
export function useErrorPage(
  query: UseQueryResult,
  { title, enabled = true, actions }: Options,
): ReactNode {
  const kind = useLastErrorKind(query);
  const failed = enabled && kind !== null && query.data === undefined;
  useDocumentTitle(failed ? 'Error' : title);
  useFocusAfterRetry(failed);
  return failed ? (
    <StoreError kind={kind} headingLevel={1} query={query} actions={actions} />
  ) : null;
}
