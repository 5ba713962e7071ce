import { useMutation, useQueries, useQuery, useQueryClient } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import type { CartApi, Line } from '../api/cart';
import { useCart } from './context';
import type { Visitor } from './visitor';

/** How long a button ignores clicks after its action, so that a double click acts once. */
const COOLDOWN_MS = 700;

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

/** The action of a button: one at a time, and once for a double click. */
export function useAction<In = void>(action: (input: In) => Promise<void>) {
  const { mutate, isPending, error } = useMutation({
    mutationFn: action,
    networkMode: 'always',
  });
  const [coolingDown, startCooldown] = useCooldown();
  // A ref, because a second click may come before the state of the first is rendered.
  const running = useRef(false);
  const run = useCallback(
    (input: In) => {
      if (running.current) return;
      running.current = true;
      const release = () => {
        running.current = false;
      };
      mutate(input, { onError: release, onSuccess: () => startCooldown(release) });
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
