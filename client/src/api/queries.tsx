import { QueryClient, useQuery, useQueryClient } from '@tanstack/react-query';
import { createContext, useContext } from 'react';
import { errorKind } from './errors';
import type { CataloguePage, Overview } from './overview';
import type { StoreApi } from './store';

/** React hooks for the store's read routes: caching, cancellation and retries. */

const StoreApiContext = createContext<StoreApi | null>(null);
export const StoreApiProvider = StoreApiContext.Provider;

function useStoreApi(): StoreApi {
  const store = useContext(StoreApiContext);
  if (store === null) throw new Error('no StoreApiProvider above this component');
  return store;
}

export function newQueryClient(): QueryClient {
  return new QueryClient({
    defaultOptions: {
      queries: {
        // By default queries pause while the browser reports being offline: skeletons would stay.
        networkMode: 'always',
        staleTime: 30_000,
        refetchOnWindowFocus: false,
        retry: (failures, error) => failures < 1 && errorKind(error) === 'unreachable',
        retryDelay: 400,
      },
    },
  });
}

export function useOverview(id: number, enabled = true) {
  const store = useStoreApi();
  const client = useQueryClient();
  return useQuery<Overview>({
    queryKey: ['overview', id],
    queryFn: ({ signal }) => store.overview(id, signal),
    enabled,
    // A catalogue page that was loaded before already holds the whole overview.
    placeholderData: (): Overview | undefined => findInCatalogue(client, id),
  });
}

function findInCatalogue(client: QueryClient, id: number): Overview | undefined {
  return client
    .getQueriesData<CataloguePage>({ queryKey: ['catalogue'] })
    .flatMap(([, page]) => page?.overviews ?? [])
    .find((overview) => overview.id === id);
}

export function useCatalogue(after: string | null) {
  return useQuery(catalogueQuery(useStoreApi(), after));
}

/** Loads a page that the visitor is about to open. */
export function usePrefetchCatalogue() {
  const store = useStoreApi();
  const client = useQueryClient();
  return (after: string) => void client.prefetchQuery(catalogueQuery(store, after));
}

function catalogueQuery(store: StoreApi, after: string | null) {
  return {
    queryKey: ['catalogue', after],
    queryFn: ({ signal }: { signal: AbortSignal }) => store.catalogue(after, signal),
  };
}

/** Images and reviews come from upstreams and are optional, so there is no automatic retry. */
export function useImage(id: number, enabled = true) {
  const store = useStoreApi();
  return useQuery({
    queryKey: ['image', id],
    queryFn: ({ signal }) => store.image(id, signal),
    enabled,
    retry: false,
    staleTime: 300_000,
  });
}

export function useReviews(id: number) {
  const store = useStoreApi();
  return useQuery({
    queryKey: ['reviews', id],
    queryFn: ({ signal }) => store.reviews(id, signal),
    retry: false,
  });
}
