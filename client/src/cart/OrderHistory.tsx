import { useEffect, useState } from 'react';
import type { Line, Order } from '../api/cart';
import { focusMain } from '../router/mainLandmark';
import { ErrorBox } from '../ui/ErrorBox';
import { formatNumber } from '../ui/format';
import { List } from '../ui/List';
import { Unavailable } from '../ui/Unavailable';
import { useAction } from '../ui/useAction';
import { credits } from './amounts';
import { useCart } from './context';
import { useCredit, useOrder, useRefreshItems, useVisitor } from './hooks';
import { ItemLink } from './items';
import { explainFailure } from './messages';
import type { PaidOrder } from './visitor';

/** Orders shown, and requested from the store, at a time. */
const PAGE_SIZE = 5;

const TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

interface Props {
  orders: readonly PaidOrder[];
  /** True where the page already shows it. */
  hideBalance: boolean;
}

export function OrderHistory({ orders, hideBalance }: Props) {
  const [shown, setShown] = useState(PAGE_SIZE);
  const { data: credit } = useCredit(useVisitor().user);
  return (
    <section className="history" aria-labelledby="history">
      <header className="history__header">
        <h2 id="history">Your orders</h2>
        {!hideBalance && typeof credit === 'number' && <p>Your balance: {credits(credit)}</p>}
      </header>
      <List>
        {orders.slice(0, shown).map(({ id, at }) => (
          <OrderRow key={id} id={id} at={at} />
        ))}
      </List>
      {orders.length > shown && (
        <button
          type="button"
          className="sf-button sf-button--secondary"
          onClick={() => setShown(shown + PAGE_SIZE)}
        >
          Show older orders
        </button>
      )}
    </section>
  );
}

function OrderRow({ id, at }: PaidOrder) {
  const { operations } = useCart();
  const { data: order, isError, refetch } = useOrder(id);
  useEffect(() => {
    // An error needs no handling here: the query fails, too, and shows it.
    if (order === null) operations.removeFromHistory(id).catch(() => {});
  }, [operations, id, order]);
  return (
    <li className="order-row">
      <p className="order-row__date">
        <time dateTime={new Date(at).toISOString()}>{TIME.format(at)}</time>
      </p>
      {order ? (
        <OrderDetails order={order} />
      ) : isError ? (
        <p className="order-row__lines">
          <Unavailable onRetry={() => void refetch()} />
        </p>
      ) : (
        <span className="sf-skeleton sf-skeleton--line order-row__lines" />
      )}
    </li>
  );
}

function OrderDetails({ order }: { order: Order }) {
  return (
    <>
      <List className="order-row__lines">
        {order.lines.map((line) => (
          <OrderLine key={line.item} {...line} />
        ))}
      </List>
      <p className="order-row__total">{credits(order.total)}</p>
      <OrderStatus order={order} />
    </>
  );
}

function OrderLine({ item, quantity }: Line) {
  return (
    <li>
      <ItemLink itemId={item} />
      {quantity > 1 && ` × ${formatNumber(quantity)}`}
    </li>
  );
}

/** Focuses a button that replaces the focused one; otherwise the keyboard focus would be lost. */
function focusOnMount(button: HTMLButtonElement | null): void {
  button?.focus();
}

/** Whether the order is still paid, and the button that cancels it after a confirmation. */
function OrderStatus({ order }: { order: Order }) {
  const { operations, showMessage } = useCart();
  const refreshItems = useRefreshItems();
  const [confirmation, setConfirmation] = useState<'no' | 'yes' | 'kept'>('no');
  const { run, busy, error } = useAction(async () => {
    await operations.cancel(order.id);
    showMessage({
      text: `${credits(order.total)} ${order.total === 1 ? 'was' : 'were'} returned to your balance.`,
      tone: 'good',
    });
    refreshItems();
    focusMain();
  });
  if (!order.paid) return <p className="order-row__status sf-muted">Cancelled and refunded</p>;
  return (
    <div className="order-row__status">
      {confirmation === 'yes' ? (
        <>
          <button
            ref={focusOnMount}
            type="button"
            className="sf-link"
            aria-disabled={busy}
            onClick={() => run()}
          >
            {busy ? 'Cancelling…' : 'Yes, cancel it'}
          </button>
          <button type="button" className="sf-link" onClick={() => setConfirmation('kept')}>
            Keep order
          </button>
        </>
      ) : (
        <>
          <span className="order-row__paid">Paid</span>
          <button
            ref={confirmation === 'kept' ? focusOnMount : undefined}
            type="button"
            className="sf-link"
            onClick={() => setConfirmation('yes')}
          >
            Cancel order
          </button>
        </>
      )}
      <ErrorBox>
        {error &&
          !busy &&
          explainFailure(
            error,
            'Your order was not cancelled.',
            'your order was cancelled. Try again in a moment; it is refunded only once.',
          )}
      </ErrorBox>
    </div>
  );
}
