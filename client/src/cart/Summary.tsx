import type { ReactNode } from 'react';
import type { Order } from '../api/cart';
import { ErrorBox } from '../ui/ErrorBox';
import { formatNumber, plural } from '../ui/format';
import { useAction } from '../ui/useAction';
import { credits, games, totalQuantity } from './amounts';
import { useCart } from './context';
import { useCredit, useCurrentCost, useRefreshItems, useVisitor } from './hooks';
import { useItemName } from './items';
import { explainFailure } from './messages';
import { quantityOf, Refusal, type Shortage } from './operations';

/** Amounts that a visitor of the demo store can add. */
const DEMO_CREDIT_AMOUNTS = [1_000, 5_000, 20_000];

/** The total, the visitor's balance, and the buttons that add credits and check out. */
export function Summary({ order, onPaid }: { order: Order; onPaid: (order: Order) => void }) {
  const { operations } = useCart();
  const refreshItems = useRefreshItems();
  const { user } = useVisitor();
  const credit = useCredit(user).data ?? null;
  const shortfall = credit === null ? 0 : Math.max(0, order.total - credit);
  const currentCost = useCurrentCost(order.lines);
  // Refreshes inside the action, because paying the order unmounts this component.
  const checkout = useAction(async (displayed: Order) => {
    try {
      onPaid(await operations.checkout(displayed));
    } finally {
      refreshItems();
    }
  });
  return (
    <section className="sf-panel summary" aria-label="Checkout">
      <dl className="summary__sums">
        <Sum name={`Total (${games(totalQuantity(order.lines))})`} amount={order.total} strong />
        <Sum name="Your balance" amount={credit} />
        {shortfall > 0 && <Sum name="You still need" amount={shortfall} shortfall />}
      </dl>
      {currentCost !== null && currentCost !== order.total && (
        <p className="summary__note">
          Some prices have changed since you filled your cart. You still pay the earlier prices.
        </p>
      )}
      <AddFunds />
      <button
        type="button"
        className="sf-button summary__checkout"
        aria-disabled={checkout.busy}
        onClick={checkout.busy ? undefined : () => checkout.run(order)}
      >
        {checkout.busy ? 'Paying…' : 'Check out'}
      </button>
      <ErrorBox>
        {checkout.error &&
          !checkout.busy &&
          describeCheckoutError(checkout.error, order, shortfall)}
      </ErrorBox>
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
      <legend>Add demo credits</legend>
      <div className="funds__amounts">
        {DEMO_CREDIT_AMOUNTS.map((amount) => (
          <button
            key={amount}
            type="button"
            className="sf-button sf-button--secondary"
            aria-label={`Add ${credits(amount)}`}
            onClick={() => funds.run(amount)}
          >
            +{formatNumber(amount)}
          </button>
        ))}
      </div>
      <ErrorBox>
        {funds.error &&
          !funds.busy &&
          explainFailure(
            funds.error,
            'No credits were added.',
            'the credits were added. Look at your balance before you try again.',
          )}
      </ErrorBox>
    </fieldset>
  );
}

/** Why the checkout failed and what to do; null for obstacles that no longer exist. */
function describeCheckoutError(error: unknown, order: Order, shortfall: number): ReactNode {
  if (error instanceof Refusal && error.reason === 'insufficient') {
    // The visitor may have removed lines since.
    const shortages = error.shortages.filter(({ item, stock }) => quantityOf(order, item) > stock);
    if (shortages.length === 0 && shortfall === 0) return null;
    return (
      <>
        <p>You were not charged.</p>
        <ul>
          {shortages.map((line) => (
            <ShortageLine key={line.item} {...line} />
          ))}
          {shortfall > 0 && <li>You still need {credits(shortfall)}. Add credits above.</li>}
        </ul>
      </>
    );
  }
  return explainFailure(
    error,
    'You were not charged.',
    'your order was paid. Check out again in a moment; you will be charged only once.',
  );
}

function ShortageLine({ item, stock }: Shortage) {
  const name = useItemName(item);
  return (
    <li>
      {stock === 0
        ? `${name} is sold out.`
        : `Only ${plural(stock, 'copy', 'copies')} of ${name} left.`}
    </li>
  );
}
