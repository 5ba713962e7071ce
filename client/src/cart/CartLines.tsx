import { useState } from 'react';
import type { Line, Order } from '../api/cart';
import { focusMain } from '../router/mainLandmark';
import { formatNumber } from '../ui/format';
import { List } from '../ui/List';
import { credits } from './amounts';
import { useCart } from './context';
import { useItem } from './hooks';
import { ItemBanner, ItemLink, useItemName } from './items';
import { explainError } from './messages';

/** The highest quantity of one game that the "+" button reaches. */
const MAX_QUANTITY = 99;

export function CartLines({ order }: { order: Order }) {
  return (
    <section aria-label="Games in your cart">
      <List>
        {order.lines.map((line) => (
          <CartLine key={line.item} line={line} />
        ))}
      </List>
    </section>
  );
}

function CartLine({ line: { item: itemId, quantity } }: { line: Line }) {
  const item = useItem(itemId).data;
  const name = useItemName(itemId);
  const { target, set, error } = useQuantity(itemId, quantity);
  const price = item?.price;
  const stock = item === null ? 0 : item?.stock;
  const max = Math.min(MAX_QUANTITY, stock ?? MAX_QUANTITY);
  return (
    <li className="line">
      <ItemBanner itemId={itemId} />
      <div className="line__text">
        <p className="line__name">
          <ItemLink itemId={itemId} />
        </p>
        {price !== undefined && <p className="line__price">{credits(price)} each</p>}
        {stock !== undefined && target > stock && (
          <p className="line__error">
            {stock === 0 ? 'Sold out. Please remove it.' : `Only ${formatNumber(stock)} left.`}
          </p>
        )}
        {error && (
          <p className="line__error" role="alert">
            {error}
          </p>
        )}
      </div>
      <fieldset className="stepper">
        <legend className="sf-visually-hidden">Quantity of {name}</legend>
        <Step
          label="Decrease quantity"
          symbol="−"
          onStep={target > 1 ? () => set(target - 1) : undefined}
        />
        <output className="stepper__count">{formatNumber(target)}</output>
        <Step
          label="Increase quantity"
          symbol="+"
          onStep={target < max ? () => set(target + 1) : undefined}
        />
      </fieldset>
      <p className="line__sum">{price !== undefined && credits(price * target)}</p>
      <button
        type="button"
        className="sf-link line__remove"
        aria-label={`Remove ${name}`}
        onClick={() => {
          // The focused button disappears with its line, so the focus moves to the page's content.
          focusMain();
          set(0);
        }}
      >
        Remove
      </button>
    </li>
  );
}

/** Shows a requested quantity before the store has confirmed it; an error shows the old one again. */
function useQuantity(itemId: string, quantity: number) {
  const { operations } = useCart();
  const [pending, setPending] = useState<{ target: number } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const set = (target: number) => {
    const request = { target };
    setPending(request);
    setError(null);
    // Only the latest request ends the pending state; earlier ones would show an old quantity.
    const settled = () => setPending((latest) => (latest === request ? null : latest));
    operations.setQuantity(itemId, target).then(settled, (error) => {
      settled();
      setError(explainError(error));
    });
  };
  return { target: pending?.target ?? quantity, set, error };
}

interface StepProps {
  label: string;
  symbol: string;
  /** Undefined at the limit. */
  onStep: (() => void) | undefined;
}

function Step({ label, symbol, onStep }: StepProps) {
  return (
    <button
      type="button"
      className="stepper__step"
      aria-label={label}
      aria-disabled={onStep === undefined}
      onClick={onStep}
    >
      {symbol}
    </button>
  );
}
