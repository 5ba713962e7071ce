import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { Line, Order } from '../api/cart';
import { parseGameId } from '../api/gameId';
import { useOverview } from '../api/queries';
import { count } from '../overview/sentences';
import { focusMain } from '../page/mainLandmark';
import { Link } from '../router/Link';
import { credits } from './amounts';
import { useCart } from './context';
import { useAction, useCredit, useOrder, useVisitor } from './hooks';
import { explainError } from './messages';
import type { PaidOrder } from './visitor';

/** Orders that are shown, and asked for, at a time. */
const PAGE_SIZE = 5;

const TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

interface Props {
  orders: readonly PaidOrder[];
  /** The page says already how much credit there is. */
  hideCredit: boolean;
}

export function OrderHistory({ orders, hideCredit }: Props) {
  const [shown, setShown] = useState(PAGE_SIZE);
  const { data: credit } = useCredit(useVisitor().user);
  return (
    <section className="history" aria-labelledby="history">
      <header className="history__header">
        <h2 id="history">Your orders</h2>
        {!hideCredit && typeof credit === 'number' && <p>Your credit: {credits(credit)}</p>}
      </header>
      {/* biome-ignore lint/a11y/noRedundantRoles: Safari drops it of a list without bullets */}
      <ul role="list">
        {orders.slice(0, shown).map(({ id, at }) => (
          <OrderRow key={id} id={id} at={at} />
        ))}
      </ul>
      {orders.length > shown && (
        <button
          type="button"
          className="sf-button sf-button--secondary"
          onClick={() => setShown(shown + PAGE_SIZE)}
        >
          Older orders
        </button>
      )}
    </section>
  );
}

function OrderRow({ id, at }: PaidOrder) {
  const { operations } = useCart();
  const { data: order, isError, refetch } = useOrder(id);
  useEffect(() => {
    // What fails here shows in the query.
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
          <span className="sf-muted">Not available right now.</span>{' '}
          <button type="button" className="sf-link" onClick={() => void refetch()}>
            Try again
          </button>
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
      {/* biome-ignore lint/a11y/noRedundantRoles: Safari drops it of a list without bullets */}
      <ul className="order-row__lines" role="list">
        {order.lines.map((line) => (
          <OrderLine key={line.item} {...line} />
        ))}
      </ul>
      <p className="order-row__total">{credits(order.total)}</p>
      <Refund order={order} />
    </>
  );
}

function OrderLine({ item, quantity }: Line) {
  const id = parseGameId(item);
  const overview = useOverview(id ?? 0, id !== null).data;
  return (
    <li>
      {overview ? <Link href={`/${overview.id}`}>{overview.name}</Link> : `Item ${item}`}
      {quantity > 1 && ` × ${count(quantity)}`}
    </li>
  );
}

/** The button that was pressed is gone: the keyboard goes on from the one in its place. */
function focusOn(button: HTMLButtonElement | null): void {
  button?.focus();
}

/** Whether it is paid still, and the way to change that. */
function Refund({ order }: { order: Order }) {
  const { operations, showMessage } = useCart();
  const client = useQueryClient();
  const [confirmation, setConfirmation] = useState<'no' | 'yes' | 'kept'>('no');
  const { run, busy, error } = useAction(async () => {
    await operations.cancel(order.id);
    showMessage({
      text: `Refunded: ${credits(order.total)} are back in your credit.`,
      tone: 'good',
    });
    void client.invalidateQueries({ queryKey: ['cart', 'item'] });
    focusMain();
  });
  if (!order.paid) return <p className="order-row__status sf-muted">Cancelled and refunded</p>;
  return (
    <div className="order-row__status">
      {confirmation === 'yes' ? (
        <>
          <button
            ref={focusOn}
            type="button"
            className="sf-link"
            aria-disabled={busy}
            onClick={() => run()}
          >
            {busy ? 'Refunding …' : 'Yes, refund it'}
          </button>
          <button type="button" className="sf-link" onClick={() => setConfirmation('kept')}>
            Keep it
          </button>
        </>
      ) : (
        <>
          <span className="order-row__paid">Paid</span>
          <button
            ref={confirmation === 'kept' ? focusOn : undefined}
            type="button"
            className="sf-link"
            onClick={() => setConfirmation('yes')}
          >
            Cancel order
          </button>
        </>
      )}
      <div role="alert">
        {error && <p className="error-box">It was not cancelled. {explainError(error)}</p>}
      </div>
    </div>
  );
}
