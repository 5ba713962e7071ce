import { useState } from 'react';
import type { Order } from '../api/cart';
import { CatalogueLink } from '../router/CatalogueLink';
import { focusMain } from '../router/mainLandmark';
import { StatusPanel } from '../ui/StatusPanel';
import { useErrorPage } from '../ui/useErrorPage';
import { credits, games, totalQuantity } from './amounts';
import { CartLines } from './CartLines';
import { useCart } from './context';
import { useCurrentOrder, useOrder, useVisitor } from './hooks';
import { EmptyBagIcon, FullBagIcon } from './icons';
import { OrderHistory } from './OrderHistory';
import { Summary } from './Summary';

/** The cart, the checkout and earlier orders. */
export function CartPage() {
  const { visitors } = useCart();
  const { order: current, paid } = useVisitor();
  const [paidOrder, setPaidOrder] = useState<Order | null>(null);
  // A refund, in this or another tab, removes the thank-you panel.
  const refunded = useOrder(paidOrder?.id ?? null).data?.paid === false;
  const query = useCurrentOrder();
  const errorPage = useErrorPage(query, {
    title: paidOrder ? 'Thank you' : 'Cart',
    enabled: current !== null,
  });
  if (errorPage) return errorPage;
  const order = current === null ? null : query.data;
  const filled = order !== null && order !== undefined && order.lines.length > 0;
  const showThankYou = (order: Order) => {
    setPaidOrder(order);
    focusMain();
    window.scrollTo(0, 0);
  };
  return (
    <div className="cart">
      {order === undefined ? (
        <Loading />
      ) : order !== null && filled ? (
        <>
          <h1 className="page-title">Cart</h1>
          <div className="cart__columns">
            <CartLines order={order} />
            <Summary order={order} onPaid={showThankYou} />
          </div>
        </>
      ) : paidOrder && !refunded ? (
        <ThankYou order={paidOrder} />
      ) : (
        <Empty />
      )}
      {!visitors.persistent && (
        <p className="cart__storage-note">
          Your browser does not store data for this page. Your cart and orders will be lost when you
          close or reload it.
        </p>
      )}
      {paid.length > 0 && <OrderHistory orders={paid} hideBalance={filled} />}
    </div>
  );
}

function Empty() {
  return (
    <StatusPanel
      icon={<EmptyBagIcon />}
      title="Your cart is empty"
      headingLevel={1}
      actions={<CatalogueLink />}
    >
      Games you add to your cart appear here.
    </StatusPanel>
  );
}

function ThankYou({ order }: { order: Order }) {
  return (
    <StatusPanel
      icon={<FullBagIcon />}
      title="Thank you!"
      headingLevel={1}
      actions={<CatalogueLink />}
      urgent
    >
      Your order is paid: {games(totalQuantity(order.lines))} for {credits(order.total)}.
    </StatusPanel>
  );
}

function Loading() {
  return (
    <div aria-busy="true">
      <h1 className="page-title">Cart</h1>
      <p className="sf-visually-hidden" role="status">
        Loading cart…
      </p>
      <div className="cart__columns">
        <div className="sf-skeleton cart__skeleton" />
        <div className="sf-skeleton cart__skeleton" />
      </div>
    </div>
  );
}
