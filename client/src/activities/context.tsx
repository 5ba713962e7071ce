import { useQueryClient } from '@tanstack/react-query';
import { createContext, useCallback, useContext } from 'react';
import { type Act, performAct } from '../api/act';
import type { ActivitiesApi } from '../api/activities';
import { useCart } from '../cart/context';

const ActivitiesApiContext = createContext<ActivitiesApi | null>(null);
export const ActivitiesApiProvider = ActivitiesApiContext.Provider;

export function useActivitiesApi(): ActivitiesApi {
  const api = useContext(ActivitiesApiContext);
  if (api === null) throw new Error('no ActivitiesApiProvider above this component');
  return api;
}

/** Reads everything that the page shows again, because something has happened. */
export function useRefresh(): () => void {
  const client = useQueryClient();
  return useCallback(() => void client.invalidateQueries({ queryKey: ['activities'] }), [client]);
}

/**
 * Runs the requests of a click, and then refreshes what the page shows. While the store cannot be
 * reached they are repeated, and the message bar says so.
 */
export function useAct() {
  const { showWait } = useCart();
  const refresh = useRefresh();
  return async <T,>(operation: (act: Act) => Promise<T>, id?: string): Promise<T> => {
    try {
      return await performAct(operation, showWait, id === undefined ? {} : { id });
    } finally {
      refresh();
    }
  };
}
