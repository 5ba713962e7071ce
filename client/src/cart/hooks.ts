import { useMutation, useQueries, useQuery } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import type { CartApi, Line } from '../api/cart';
import { useCart } from './context';
import type { Visitor } from './visitor';

/** How long a button that has done its work takes no click: the second one of a double click. */
const COOLDOWN_MS = 700;

export function useVisitor(): Visitor {
  const { visitors } = useCart();
  return useSyncExternalStore(visitors.subscribe, visitors.read);
}

/** Null data: not for sale. */
export function useItem(item: string, enabled = true) {
  return useQuery({ ...itemQuery(useCart().api, item), enabled });
}

/** What the lines cost at present prices; null while one is unknown or no longer for sale. */
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

/** Null data: the store does not know it. */
export function useOrder(order: string | null) {
  const { api } = useCart();
  return useQuery({
    queryKey: ['cart', 'order', order],
    queryFn: ({ signal }) => (order === null ? null : api.order(order, signal)),
    enabled: order !== null,
    // Other tabs, and a shop that has begun anew, change it.
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

/** The order being filled. */
export function useCurrentOrder() {
  return useOrder(useVisitor().order);
}

/** Puts right a current order that the store has lost, or that is paid. For one place of the page. */
export function useReconcileOrder(): void {
  const { operations } = useCart();
  const { order } = useVisitor();
  const { data } = useOrder(order);
  const outdated = order !== null && (data === null || data?.paid === true);
  useEffect(() => {
    // What fails here shows in the queries.
    if (outdated) operations.reconcile().catch(() => {});
  }, [operations, outdated]);
}

/** Something that a button does: once at a time, and not twice for a double click. */
export function useAction<In = void>(action: (input: In) => Promise<void>) {
  const { mutate, isPending, error } = useMutation({
    mutationFn: action,
    networkMode: 'always',
  });
  const [coolingDown, startCooldown] = useCooldown();
  const running = useRef(false);
  const run = useCallback(
    (input: In) => {
      // A ref, because two clicks may come before the first has been drawn.
      if (running.current) return;
      running.current = true;
      mutate(input, {
        onError: () => {
          running.current = false;
        },
        onSuccess: () =>
          startCooldown(() => {
            running.current = false;
          }),
      });
    },
    [mutate, startCooldown],
  );
  return { run, busy: isPending, done: coolingDown, error };
}

function useCooldown(): [boolean, (then: () => void) => void] {
  const [coolingDown, setCoolingDown] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const startCooldown = useCallback((then: () => void) => {
    setCoolingDown(true);
    timer.current = window.setTimeout(() => {
      setCoolingDown(false);
      then();
    }, COOLDOWN_MS);
  }, []);
  return [coolingDown, startCooldown];
}
