import { type QueryClient, useQueryClient } from '@tanstack/react-query';
import {
  createContext,
  type ReactNode,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
} from 'react';
import type { CartApi } from '../api/cart';
import { EVENT_MESSAGES, type Message } from './messages';
import { CartOperations } from './operations';
import type { VisitorStore } from './visitor';

/** What all components of the cart share; other pages use its message bar. */
interface Cart {
  readonly api: CartApi;
  readonly visitors: VisitorStore;
  readonly operations: CartOperations;
  /** The latest message, until it is dismissed. */
  readonly message: Message | null;
  readonly showMessage: (message: Message | null) => void;
  /** While an operation waits for a store that cannot be reached. */
  readonly wait: Wait | null;
  /** Begins or, with null, ends the message that something waits for the store. */
  readonly showWait: (stop: (() => void) | null) => void;
}

interface Wait {
  readonly stop: () => void;
}

const CartContext = createContext<Cart | null>(null);

export function useCart(): Cart {
  const cart = useContext(CartContext);
  if (cart === null) throw new Error('no CartProvider above this component');
  return cart;
}

interface Props {
  api: CartApi;
  visitors: VisitorStore;
  children: ReactNode;
}

export function CartProvider({ api, visitors, children }: Props) {
  const client = useQueryClient();
  const [message, showMessage] = useState<Message | null>(null);
  const [wait, setWait] = useState<Wait | null>(null);
  const showWait = useCallback((stop: (() => void) | null) => setWait(stop && { stop }), []);
  const operations = useMemo(
    () =>
      new CartOperations({
        api,
        visitors,
        onEvent: (event) => showMessage(EVENT_MESSAGES[event]),
        onWait: showWait,
      }),
    [api, visitors, showWait],
  );
  useEffect(() => visitors.watchTabs(window), [visitors]);
  useEffect(
    () =>
      visitors.subscribe((current, previous, fromOtherTab) => {
        // Any operation, in any tab, may have changed the order and the balance.
        void refetch(client, 'order');
        void refetch(client, 'credit');
        const paid = current.paid.some(({ id }) => id === previous.order);
        if (fromOtherTab && paid) showMessage(EVENT_MESSAGES.paidInOtherTab);
      }),
    [client, visitors],
  );
  const cart = useMemo(
    () => ({ api, visitors, operations, message, showMessage, wait, showWait }),
    [api, visitors, operations, message, wait, showWait],
  );
  return <CartContext value={cart}>{children}</CartContext>;
}

/**
 * Reads again what is displayed. A first read that is under way must not stand for this one: it may have
 * been answered before the change.
 */
async function refetch(client: QueryClient, kind: 'order' | 'credit'): Promise<void> {
  const filters = { queryKey: ['cart', kind] };
  await client.cancelQueries(filters);
  await client.invalidateQueries(filters);
}
