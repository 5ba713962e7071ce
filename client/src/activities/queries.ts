import { keepPreviousData, type Query, useQuery } from '@tanstack/react-query';
import type { MessageState } from '../api/activities';
import { errorKind } from '../api/errors';
import { useActivitiesApi } from './context';

/**
 * Reads that repeat while the tab is visible. The next one stands for a retry, so a failed one is not
 * retried by itself.
 */

const STATUS_MS = 1_000;
const LIST_MS = 3_000;
/** Of a message that is queued. */
const MESSAGE_MS = 500;
/** While the store does not answer. */
const FAILED_MS = 5_000;

function everyMs(ms: number) {
  return (query: Pick<Query, 'state'>): number | false => {
    const { error } = query.state;
    if (error === null) return ms;
    // The store has no such route or message, and will not get it soon.
    return errorKind(error) === 'missing' ? false : FAILED_MS;
  };
}

const LIVE = { retry: false, staleTime: 0 } as const;

export function useStatus() {
  const api = useActivitiesApi();
  return useQuery({
    ...LIVE,
    queryKey: ['activities', 'status'],
    queryFn: ({ signal }) => api.status(signal),
    refetchInterval: everyMs(STATUS_MS),
  });
}

/** Read again until it is applied or rejected. The data is null when there is no such message. */
export function useMessage(id: string) {
  const api = useActivitiesApi();
  return useQuery({
    ...LIVE,
    queryKey: ['activities', 'message', id],
    queryFn: ({ signal }) => api.message(id, signal),
    refetchInterval: (query) => {
      const message = query.state.data;
      const final = message !== undefined && message?.state !== 'queued';
      return final ? false : everyMs(MESSAGE_MS)(query as unknown as Query);
    },
  });
}

export function useMessages(state: MessageState | null, after: string | null) {
  const api = useActivitiesApi();
  return useQuery({
    ...LIVE,
    queryKey: ['activities', 'messages', state, after],
    queryFn: ({ signal }) => api.messages(state, after, signal),
    refetchInterval: everyMs(LIST_MS),
    placeholderData: keepPreviousData,
  });
}

export function useRejections(after: string | null) {
  const api = useActivitiesApi();
  return useQuery({
    ...LIVE,
    queryKey: ['activities', 'rejections', after],
    queryFn: ({ signal }) => api.rejections(after, signal),
    refetchInterval: everyMs(LIST_MS),
    placeholderData: keepPreviousData,
  });
}

export function useTables() {
  const api = useActivitiesApi();
  return useQuery({
    ...LIVE,
    queryKey: ['activities', 'tables'],
    queryFn: ({ signal }) => api.tables(signal),
    refetchInterval: everyMs(LIST_MS),
  });
}

/** The data is null when there is no such table. */
export function useRows(table: string, after: string | null) {
  const api = useActivitiesApi();
  return useQuery({
    ...LIVE,
    queryKey: ['activities', 'rows', table, after],
    queryFn: ({ signal }) => api.rows(table, after, signal),
    refetchInterval: everyMs(LIST_MS),
    placeholderData: (previous, query) => (query?.queryKey[2] === table ? previous : undefined),
  });
}
