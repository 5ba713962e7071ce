import { useMutation, useQueries, useQuery } from '@tanstack/react-query';
import { useCallback, useEffect, useRef, useState, useSyncExternalStore } from 'react';
import type { CartRoutes, Line } from '../api/cart';
import { useCart } from './context';
import type { Visitor } from './visitor';

/** How long a button that has done its work takes no click: the second one of a double click. */
const REST_MS = 700;

export function useVisitor(): Visitor {
  const { visitors } = useCart();
  return useSyncExternalStore(visitors.subscribe, visitors.read);
}

/** Null data: not for sale. */
export function useItem(item: string, enabled = true) {
  return useQuery({ ...itemQuery(useCart().routes, item), enabled });
}

/** What the lines cost at present prices; null while one is unknown or no longer for sale. */
export function usePresentCost(lines: readonly Line[]): number | null {
  const { routes } = useCart();
  const items = useQueries({ queries: lines.map(({ item }) => itemQuery(routes, item)) });
  return lines.reduce<number | null>((sum, { quantity }, index) => {
    const price = items[index]?.data?.price;
    return sum === null || price === undefined ? null : sum + price * quantity;
  }, 0);
}

function itemQuery(routes: CartRoutes, item: string) {
  return {
    queryKey: ['cart', 'item', item],
    queryFn: ({ signal }: { signal: AbortSignal }) => routes.item(item, signal),
  };
}

/** Null data: the store does not know it. */
export function useOrder(order: string | null) {
  const { routes } = useCart();
  return useQuery({
    queryKey: ['cart', 'order', order],
    queryFn: ({ signal }) => (order === null ? null : routes.order(order, signal)),
    enabled: order !== null,
    // Other tabs, and a shop that has begun anew, change it.
    refetchOnWindowFocus: true,
  });
}

export function useCredit(user: string | null) {
  const { routes } = useCart();
  return useQuery({
    queryKey: ['cart', 'credit', user],
    queryFn: ({ signal }) => (user === null ? 0 : routes.credit(user, signal)),
    enabled: user !== null,
    refetchOnWindowFocus: true,
  });
}

/** The order being filled. */
export function useCurrentOrder() {
  return useOrder(useVisitor().order);
}

/** Puts right a current order that the store has lost, or that is paid. For one place of the page. */
export function useOrderPutRight(): void {
  const { acts } = useCart();
  const { order } = useVisitor();
  const { data } = useOrder(order);
  const wrong = order !== null && (data === null || data?.paid === true);
  useEffect(() => {
    // What fails here shows in the queries.
    if (wrong) acts.lookAgain().catch(() => {});
  }, [acts, wrong]);
}

/** Something that a button does: once at a time, and not twice for a double click. */
export function useAct<In = void>(act: (input: In) => Promise<void>) {
  const { mutate, isPending, error } = useMutation({
    mutationFn: act,
    networkMode: 'always',
  });
  const [resting, rest] = useRest();
  const under = useRef(false);
  const run = useCallback(
    (input: In) => {
      // A ref, because two clicks may come before the first has been drawn.
      if (under.current) return;
      under.current = true;
      mutate(input, {
        onError: () => {
          under.current = false;
        },
        onSuccess: () =>
          rest(() => {
            under.current = false;
          }),
      });
    },
    [mutate, rest],
  );
  return { run, busy: isPending, done: resting, error };
}

function useRest(): [boolean, (then: () => void) => void] {
  const [resting, setResting] = useState(false);
  const timer = useRef(0);
  useEffect(() => () => window.clearTimeout(timer.current), []);
  const rest = useCallback((then: () => void) => {
    setResting(true);
    timer.current = window.setTimeout(() => {
      setResting(false);
      then();
    }, REST_MS);
  }, []);
  return [resting, rest];
}
