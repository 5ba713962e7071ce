import { useQueryClient } from '@tanstack/react-query';
import { useEffect, useState } from 'react';
import type { Line, Order } from '../api/cart';
import { parseGameId } from '../api/gameId';
import { useOverview } from '../api/queries';
import { count } from '../overview/sentences';
import { focusMain } from '../page/main-landmark';
import { Link } from '../router/Link';
import { credits } from './amounts';
import { useCart } from './context';
import { useAct, useCredit, useOrder, useVisitor } from './hooks';
import { explainFailure } from './messages';
import type { PaidOrder } from './visitor';

/** Orders that are shown, and asked for, at a time. */
const SHOWN = 5;

const TIME = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'short' });

interface Props {
  orders: readonly PaidOrder[];
  /** The page says already how much credit there is. */
  creditShown: boolean;
}

export function OrderHistory({ orders, creditShown }: Props) {
  const [shown, setShown] = useState(SHOWN);
  const { data: credit } = useCredit(useVisitor().user);
  return (
    <section className="history" aria-labelledby="history">
      <header className="history__head">
        <h2 id="history">Your orders</h2>
        {!creditShown && typeof credit === 'number' && <p>Your credit: {credits(credit)}</p>}
      </header>
      {/* biome-ignore lint/a11y/noRedundantRoles: Safari drops it of a list without bullets */}
      <ul role="list">
        {orders.slice(0, shown).map(({ id, at }) => (
          <PastOrder key={id} id={id} at={at} />
        ))}
      </ul>
      {orders.length > shown && (
        <button
          type="button"
          className="sf-button sf-button--quiet"
          onClick={() => setShown(shown + SHOWN)}
        >
          Older orders
        </button>
      )}
    </section>
  );
}

function PastOrder({ id, at }: PaidOrder) {
  const { acts } = useCart();
  const { data: order, isError, refetch } = useOrder(id);
  useEffect(() => {
    // What fails here shows in the query.
    if (order === null) acts.forget(id).catch(() => {});
  }, [acts, id, order]);
  return (
    <li className="past">
      <p className="past__when">
        <time dateTime={new Date(at).toISOString()}>{TIME.format(at)}</time>
      </p>
      {order ? (
        <Contents order={order} />
      ) : isError ? (
        <p className="past__what">
          <span className="sf-muted">Not available right now.</span>{' '}
          <button type="button" className="sf-link" onClick={() => void refetch()}>
            Try again
          </button>
        </p>
      ) : (
        <span className="sf-skeleton sf-skeleton--line past__what" />
      )}
    </li>
  );
}

function Contents({ order }: { order: Order }) {
  return (
    <>
      {/* biome-ignore lint/a11y/noRedundantRoles: Safari drops it of a list without bullets */}
      <ul className="past__what" role="list">
        {order.lines.map((line) => (
          <PastLine key={line.item} {...line} />
        ))}
      </ul>
      <p className="past__total">{credits(order.total)}</p>
      <Refund order={order} />
    </>
  );
}

function PastLine({ item, quantity }: Line) {
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
  const { acts, say } = useCart();
  const client = useQueryClient();
  const [asked, setAsked] = useState<'no' | 'yes' | 'kept'>('no');
  const { run, busy, error } = useAct(async () => {
    await acts.cancel(order.id);
    say({ text: `Refunded: ${credits(order.total)} are back in your credit.`, tone: 'good' });
    void client.invalidateQueries({ queryKey: ['cart', 'item'] });
    focusMain();
  });
  if (!order.paid) return <p className="past__state sf-muted">Cancelled and refunded</p>;
  return (
    <div className="past__state">
      {asked === 'yes' ? (
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
          <button type="button" className="sf-link" onClick={() => setAsked('kept')}>
            Keep it
          </button>
        </>
      ) : (
        <>
          <span className="past__paid">Paid</span>
          <button
            ref={asked === 'kept' ? focusOn : undefined}
            type="button"
            className="sf-link"
            onClick={() => setAsked('yes')}
          >
            Cancel order
          </button>
        </>
      )}
      <div role="alert">
        {error && <p className="trouble">It was not cancelled. {explainFailure(error)}</p>}
      </div>
    </div>
  );
}
