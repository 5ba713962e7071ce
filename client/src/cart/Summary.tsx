import { useQueryClient } from '@tanstack/react-query';
import type { Order } from '../api/cart';
import { failureKind } from '../api/errors';
import { parseGameId } from '../api/gameId';
import { useOverview } from '../api/queries';
import { count } from '../overview/sentences';
import { quantityOf, Refusal, type Short } from './acts';
import { credits, games, totalQuantity } from './amounts';
import { useCart } from './context';
import { useAct, useCredit, usePresentCost, useVisitor } from './hooks';
import { explainFailure } from './messages';

/** What the demo shop gives away at a time. */
const GIFTS = [1_000, 5_000, 20_000];

/** What the order costs, what the visitor has, and the way to pay. */
export function Summary({ order, onBought }: { order: Order; onBought: (order: Order) => void }) {
  const { acts } = useCart();
  const client = useQueryClient();
  const { user } = useVisitor();
  const credit = useCredit(user).data ?? null;
  const missing = credit === null ? 0 : Math.max(0, order.total - credit);
  const presentCost = usePresentCost(order.lines);
  // All of it in the act: once the order is paid this panel is gone.
  const checkout = useAct(async (seen: Order) => {
    try {
      onBought(await acts.checkout(seen));
    } finally {
      void client.invalidateQueries({ queryKey: ['cart', 'item'] });
    }
  });
  return (
    <section className="sf-panel summary" aria-label="Checkout">
      <dl className="summary__sums">
        <Sum name={`Total of ${games(totalQuantity(order.lines))}`} amount={order.total} strong />
        <Sum name="Your credit" amount={credit} />
        {missing > 0 && <Sum name="Missing" amount={missing} missing />}
      </dl>
      {presentCost !== null && presentCost !== order.total && (
        <p className="summary__note">
          Prices have changed since you filled your cart. You pay those of then.
        </p>
      )}
      <AddFunds />
      <button
        type="button"
        className="sf-button summary__pay"
        aria-disabled={checkout.busy}
        onClick={checkout.busy ? undefined : () => checkout.run(order)}
      >
        {checkout.busy ? 'Paying …' : 'Check out'}
      </button>
      <div role="alert">
        {checkout.error && !checkout.busy && (
          <Trouble error={checkout.error} order={order} missing={missing} />
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
  missing?: boolean;
}

function Sum({ name, amount, strong, missing }: SumProps) {
  const kind = strong ? 'sum--strong' : missing ? 'sum--missing' : '';
  return (
    <div className={`sum ${kind}`}>
      <dt>{name}</dt>
      <dd>{amount === null ? '…' : credits(amount)}</dd>
    </div>
  );
}

function AddFunds() {
  const { acts } = useCart();
  const funds = useAct((amount: number) => acts.addFunds(amount));
  return (
    <fieldset className="funds">
      <legend>Add demo credit</legend>
      <div className="funds__gifts">
        {GIFTS.map((amount) => (
          <button
            key={amount}
            type="button"
            className="sf-button sf-button--quiet"
            aria-label={`Add ${credits(amount)}`}
            onClick={() => funds.run(amount)}
          >
            +{count(amount)}
          </button>
        ))}
      </div>
      <div role="alert">
        {funds.error && (
          <p className="trouble">No credit was added. {explainFailure(funds.error)}</p>
        )}
      </div>
    </fieldset>
  );
}

/** Why the checkout did not happen, and what to do. */
function Trouble({ error, order, missing }: { error: unknown; order: Order; missing: number }) {
  if (error instanceof Refusal && error.reason === 'obstacles') {
    // Those that the visitor has removed since are no longer worth a word.
    const short = error.short.filter(({ item, stock }) => quantityOf(order, item) > stock);
    return <Obstacles short={short} missing={missing} />;
  }
  if (failureKind(error) === 'unreachable') {
    return (
      <p className="trouble">
        The store does not answer, so it is not known whether your order is paid. Check out again in
        a little while: you will be charged once.
      </p>
    );
  }
  return <p className="trouble">Nothing was paid. {explainFailure(error)}</p>;
}

function Obstacles({ short, missing }: { short: readonly Short[]; missing: number }) {
  if (short.length === 0 && missing === 0) return null;
  return (
    <div className="trouble">
      <p>Nothing was paid.</p>
      <ul>
        {short.map((line) => (
          <ShortLine key={line.item} {...line} />
        ))}
        {missing > 0 && <li>You need {credits(missing)} more. Add some credit above.</li>}
      </ul>
    </div>
  );
}

function ShortLine({ item, stock }: Short) {
  const id = parseGameId(item);
  const name = useOverview(id ?? 0, id !== null).data?.name ?? `Item ${item}`;
  return (
    <li>
      {stock === 0 ? `${name} is sold out.` : `There are only ${count(stock)} of ${name} left.`}
    </li>
  );
}
