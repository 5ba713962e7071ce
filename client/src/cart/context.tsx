import { useQueryClient } from '@tanstack/react-query';
import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from 'react';
import type { CartRoutes } from '../api/cart';
import { CartActs } from './acts';
import { type Message, NEWS } from './messages';
import type { VisitorStore } from './visitor';

/** What everything of the cart shares. */
interface Cart {
  readonly routes: CartRoutes;
  readonly visitors: VisitorStore;
  readonly acts: CartActs;
  /** What was last said to the visitor, if they have not closed it. */
  readonly message: Message | null;
  readonly say: (message: Message | null) => void;
}

const CartContext = createContext<Cart | null>(null);

export function useCart(): Cart {
  const cart = useContext(CartContext);
  if (cart === null) throw new Error('no CartProvider above this component');
  return cart;
}

interface Props {
  routes: CartRoutes;
  visitors: VisitorStore;
  children: ReactNode;
}

export function CartProvider({ routes, visitors, children }: Props) {
  const client = useQueryClient();
  const [message, say] = useState<Message | null>(null);
  const acts = useMemo(
    () => new CartActs({ routes, visitors, onNews: (news) => say(NEWS[news]) }),
    [routes, visitors],
  );
  useEffect(() => visitors.watchTabs(window), [visitors]);
  useEffect(
    () =>
      visitors.subscribe((now, before, elsewhere) => {
        // Whatever was done, here or in another tab: what the page shows of it is old.
        void client.invalidateQueries({ queryKey: ['cart', 'order'] });
        void client.invalidateQueries({ queryKey: ['cart', 'credit'] });
        const paid = now.paid.some(({ id }) => id === before.order);
        if (elsewhere && paid) say(NEWS.paidElsewhere);
      }),
    [client, visitors],
  );
  const cart = useMemo(
    () => ({ routes, visitors, acts, message, say }),
    [routes, visitors, acts, message],
  );
  return <CartContext value={cart}>{children}</CartContext>;
}
