import { useQueries, useQuery, useQueryClient } from '@tanstack/react-query';
import { useEffect, useSyncExternalStore } from 'react';
import type { CartApi, Line } from '../api/cart';
import { useCart } from './context';
import type { Visitor } from './visitor';

export function useVisitor(): Visitor {
  const { visitors } = useCart();
  return useSyncExternalStore(visitors.subscribe, visitors.read);
}

/** The data is null when the item is not for sale. */
export function useItem(item: string, enabled = true) {
  return useQuery({ ...itemQuery(useCart().api, item), enabled });
}

/** Call the result when stock or prices may have changed. */
export function useRefreshItems(): () => void {
  const client = useQueryClient();
  return () => void client.invalidateQueries({ queryKey: ['cart', 'item'] });
}

/** What the lines cost at current prices; null if one is unknown or no longer for sale. */
export function useCurrentCost(lines: readonly Line[]): number | null {
  const { api } = useCart();
  const items = useQueries({ queries: lines.map(({ item }) => itemQuery(api, item)) });
  return lines.reduce<number | null>((sum, { quantity }, index) => {
    const price = items[index]?.data?.price;
    return sum === null || price === undefined ? null : sum + price * quantity;
  }, 0);
}

function itemQuery(api: CartApi, item: string) {
  return {
    queryKey: ['cart', 'item', item],
    queryFn: ({ signal }: { signal: AbortSignal }) => api.item(item, signal),
  };
}

/** The data is null when the store has no such order. */
export function useOrder(order: string | null) {
  const { api } = useCart();
  return useQuery({
    queryKey: ['cart', 'order', order],
    queryFn: ({ signal }) => (order === null ? null : api.order(order, signal)),
    enabled: order !== null,
    // Other tabs or a reset of the store may have changed it.
    refetchOnWindowFocus: true,
  });
}

export function useCredit(user: string | null) {
  const { api } = useCart();
  return useQuery({
    queryKey: ['cart', 'credit', user],
    queryFn: ({ signal }) => (user === null ? 0 : api.credit(user, signal)),
    enabled: user !== null,
    refetchOnWindowFocus: true,
  });
}

/** The visitor's open order. */
export function useCurrentOrder() {
  return useOrder(useVisitor().order);
}

/** Replaces a current order that is paid or that the store no longer has. Use it once per page. */
export function useReconcileOrder(): void {
  const { operations } = useCart();
  const { order } = useVisitor();
  const { data } = useOrder(order);
  const outdated = order !== null && (data === null || data?.paid === true);
  useEffect(() => {
    // An error needs no handling here: the queries fail, too, and show it.
    if (outdated) operations.reconcile().catch(() => {});
  }, [operations, outdated]);
}
