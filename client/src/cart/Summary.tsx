import { useQueryClient } from '@tanstack/react-query';
import type { Order } from '../api/cart';
import { errorKind } from '../api/errors';
import { parseGameId } from '../api/gameId';
import { useOverview } from '../api/queries';
import { count } from '../overview/sentences';
import { credits, games, totalQuantity } from './amounts';
import { useCart } from './context';
import { useAction, useCredit, useCurrentCost, useVisitor } from './hooks';
import { explainError } from './messages';
import { quantityOf, Refusal, type Shortage } from './operations';

/** What the demo shop gives away at a time. */
const DEMO_CREDIT_AMOUNTS = [1_000, 5_000, 20_000];

/** What the order costs, what the visitor has, and the way to pay. */
export function Summary({ order, onPaid }: { order: Order; onPaid: (order: Order) => void }) {
  const { operations } = useCart();
  const client = useQueryClient();
  const { user } = useVisitor();
  const credit = useCredit(user).data ?? null;
  const shortfall = credit === null ? 0 : Math.max(0, order.total - credit);
  const currentCost = useCurrentCost(order.lines);
  // All of it in the act: once the order is paid this panel is gone.
  const checkout = useAction(async (displayed: Order) => {
    try {
      onPaid(await operations.checkout(displayed));
    } finally {
      void client.invalidateQueries({ queryKey: ['cart', 'item'] });
    }
  });
  return (
    <section className="sf-panel summary" aria-label="Checkout">
      <dl className="summary__sums">
        <Sum name={`Total of ${games(totalQuantity(order.lines))}`} amount={order.total} strong />
        <Sum name="Your credit" amount={credit} />
        {shortfall > 0 && <Sum name="Missing" amount={shortfall} shortfall />}
      </dl>
      {currentCost !== null && currentCost !== order.total && (
        <p className="summary__note">
          Prices have changed since you filled your cart. You pay those of then.
        </p>
      )}
      <AddFunds />
      <button
        type="button"
        className="sf-button summary__checkout"
        aria-disabled={checkout.busy}
        onClick={checkout.busy ? undefined : () => checkout.run(order)}
      >
        {checkout.busy ? 'Paying …' : 'Check out'}
      </button>
      <div role="alert">
        {checkout.error && !checkout.busy && (
          <CheckoutError error={checkout.error} order={order} shortfall={shortfall} />
        )}
      </div>
    </section>
  );
}

interface SumProps {
  name: string;
  /** Null while unknown. */
  amount: number | null;
  strong?: boolean;
  shortfall?: boolean;
}

function Sum({ name, amount, strong, shortfall }: SumProps) {
  const kind = strong ? 'sum--strong' : shortfall ? 'sum--shortfall' : '';
  return (
    <div className={`sum ${kind}`}>
      <dt>{name}</dt>
      <dd>{amount === null ? '…' : credits(amount)}</dd>
    </div>
  );
}

function AddFunds() {
  const { operations } = useCart();
  const funds = useAction((amount: number) => operations.addFunds(amount));
  return (
    <fieldset className="funds">
      <legend>Add demo credit</legend>
      <div className="funds__amounts">
        {DEMO_CREDIT_AMOUNTS.map((amount) => (
          <button
            key={amount}
            type="button"
            className="sf-button sf-button--secondary"
            aria-label={`Add ${credits(amount)}`}
            onClick={() => funds.run(amount)}
          >
            +{count(amount)}
          </button>
        ))}
      </div>
      <div role="alert">
        {funds.error && (
          <p className="error-box">No credit was added. {explainError(funds.error)}</p>
        )}
      </div>
    </fieldset>
  );
}

/** Why the checkout did not happen, and what to do. */
function CheckoutError({
  error,
  order,
  shortfall,
}: {
  error: unknown;
  order: Order;
  shortfall: number;
}) {
  if (error instanceof Refusal && error.reason === 'insufficient') {
    // Those that the visitor has removed since are no longer worth a word.
    const shortages = error.shortages.filter(({ item, stock }) => quantityOf(order, item) > stock);
    return <Insufficient shortages={shortages} shortfall={shortfall} />;
  }
  if (errorKind(error) === 'unreachable') {
    return (
      <p className="error-box">
        The store does not answer, so it is not known whether your order is paid. Check out again in
        a little while: you will be charged once.
      </p>
    );
  }
  return <p className="error-box">Nothing was paid. {explainError(error)}</p>;
}

function Insufficient({
  shortages,
  shortfall,
}: {
  shortages: readonly Shortage[];
  shortfall: number;
}) {
  if (shortages.length === 0 && shortfall === 0) return null;
  return (
    <div className="error-box">
      <p>Nothing was paid.</p>
      <ul>
        {shortages.map((line) => (
          <ShortageLine key={line.item} {...line} />
        ))}
        {shortfall > 0 && <li>You need {credits(shortfall)} more. Add some credit above.</li>}
      </ul>
    </div>
  );
}

function ShortageLine({ item, stock }: Shortage) {
  const id = parseGameId(item);
  const name = useOverview(id ?? 0, id !== null).data?.name ?? `Item ${item}`;
  return (
    <li>
      {stock === 0 ? `${name} is sold out.` : `There are only ${count(stock)} of ${name} left.`}
    </li>
  );
}
