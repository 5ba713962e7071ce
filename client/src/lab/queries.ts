import { useQuery } from '@tanstack/react-query';
import { useLabApi } from './context';

/** Lists change when a run starts or ends, here or in another window. */
const LIST_MS = 5_000;

export function useInfo() {
  const api = useLabApi();
  return useQuery({
    queryKey: ['lab', 'info'],
    queryFn: ({ signal }) => api.info(signal),
    refetchInterval: LIST_MS,
  });
}

export function useJobs() {
  const api = useLabApi();
  return useQuery({
    queryKey: ['lab', 'jobs'],
    queryFn: ({ signal }) => api.jobs(signal),
    staleTime: 0,
    refetchInterval: LIST_MS,
  });
}

export function useCached() {
  const api = useLabApi();
  return useQuery({
    queryKey: ['lab', 'cached'],
    queryFn: ({ signal }) => api.cached(signal),
    staleTime: 0,
  });
}

/** The windows of cached runs; null for those that do not exist. */
export function useCachedWindows(keys: readonly string[], patterns: string) {
  const api = useLabApi();
  return useQuery({
    queryKey: ['lab', 'cached', keys, patterns],
    queryFn: ({ signal }) =>
      Promise.all(keys.map((key) => api.cachedWindows(key, patterns, signal))),
  });
}
