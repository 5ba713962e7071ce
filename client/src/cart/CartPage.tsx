import { useState } from 'react';
import type { Order } from '../api/cart';
import { useFailure } from '../api/useFailure';
import { ToCatalogue } from '../catalogue/ToCatalogue';
import { focusMain } from '../page/main-landmark';
import { useDocumentTitle } from '../page/useDocumentTitle';
import { useFocusAfterTrouble } from '../page/useFocusAfterTrouble';
import { Notice } from '../ui/Notice';
import { StoreTrouble } from '../ui/StoreTrouble';
import { credits, games, totalQuantity } from './amounts';
import { CartLines } from './CartLines';
import { useCart } from './context';
import { useCurrentOrder, useOrder, useVisitor } from './hooks';
import { OrderHistory } from './OrderHistory';
import { EmptyBag, FullBag } from './pictures';
import { Summary } from './Summary';

/** What is in the cart, what it costs, and what was bought before. */
export function CartPage() {
  const { visitors } = useCart();
  const { order: current, paid } = useVisitor();
  const [bought, setBought] = useState<Order | null>(null);
  // A refund, here or in another tab, takes the thanks back.
  const refunded = useOrder(bought?.id ?? null).data?.paid === false;
  const query = useCurrentOrder();
  const failure = useFailure(query);
  const trouble = current !== null && failure !== null && query.data === undefined;
  useDocumentTitle(trouble ? 'The store is not available' : bought ? 'Thank you' : 'Cart');
  useFocusAfterTrouble(trouble);
  if (trouble) {
    return (
      <StoreTrouble
        kind={failure}
        headingLevel={1}
        onRetry={() => void query.refetch()}
        busy={query.isFetching}
      />
    );
  }
  const order = current === null ? null : query.data;
  const filled = order !== null && order !== undefined && order.lines.length > 0;
  const thank = (paidOrder: Order) => {
    setBought(paidOrder);
    focusMain();
    window.scrollTo(0, 0);
  };
  return (
    <div className="cart">
      {order === undefined ? (
        <Waiting />
      ) : order !== null && filled ? (
        <>
          <h1>Cart</h1>
          <div className="cart__columns">
            <CartLines order={order} />
            <Summary order={order} onBought={thank} />
          </div>
        </>
      ) : bought && !refunded ? (
        <ThankYou order={bought} />
      ) : (
        <Empty />
      )}
      {!visitors.lasts && (
        <p className="cart__forgetful">
          Your browser does not keep anything for this page: cart and orders last until you close or
          reload it.
        </p>
      )}
      {paid.length > 0 && <OrderHistory orders={paid} creditShown={filled} />}
    </div>
  );
}

function Empty() {
  return (
    <Notice
      picture={<EmptyBag />}
      title="Your cart is empty"
      headingLevel={1}
      actions={<ToCatalogue />}
    >
      Games that you add to it wait here.
    </Notice>
  );
}

function ThankYou({ order }: { order: Order }) {
  return (
    <Notice
      picture={<FullBag />}
      title="Thank you!"
      headingLevel={1}
      actions={<ToCatalogue />}
      urgent
    >
      Your order is paid: {games(totalQuantity(order.lines))} for {credits(order.total)}.
    </Notice>
  );
}

function Waiting() {
  return (
    <div aria-busy="true">
      <h1>Cart</h1>
      <p className="sf-visually-hidden" role="status">
        Loading the cart …
      </p>
      <div className="cart__columns">
        <div className="sf-skeleton cart__skeleton" />
        <div className="sf-skeleton cart__skeleton" />
      </div>
    </div>
  );
}
