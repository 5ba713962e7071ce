import { useState } from 'react';
import type { Line, Order } from '../api/cart';
import { parseGameId } from '../api/gameId';
import { useImage, useOverview } from '../api/queries';
import { Banner } from '../overview/Banner';
import { count } from '../overview/sentences';
import { focusMain } from '../page/mainLandmark';
import { Link } from '../router/Link';
import { credits } from './amounts';
import { useCart } from './context';
import { useItem } from './hooks';
import { explainError } from './messages';

/** The most of one game that the buttons lead to. */
const MAX_QUANTITY = 99;

export function CartLines({ order }: { order: Order }) {
  return (
    <section className="cart__lines" aria-label="In the cart">
      {/* biome-ignore lint/a11y/noRedundantRoles: Safari drops it of a list without bullets */}
      <ul role="list">
        {order.lines.map((line) => (
          <CartLine key={line.item} line={line} />
        ))}
      </ul>
    </section>
  );
}

function CartLine({ line: { item: itemId, quantity } }: { line: Line }) {
  const item = useItem(itemId).data;
  const { name, banner } = useGameTitle(itemId);
  const { target, set, error } = useQuantity(itemId, quantity);
  const price = item?.price;
  const stock = item === null ? 0 : item?.stock;
  return (
    <li className="line">
      {banner}
      <div className="line__text">
        <p className="line__name">{name.link}</p>
        {price !== undefined && <p className="line__price">{credits(price)} each</p>}
        <Shortage target={target} stock={stock} />
        {error && (
          <p className="line__error" role="alert">
            {error}
          </p>
        )}
      </div>
      <fieldset className="stepper">
        <legend className="sf-visually-hidden">How many of {name.text}</legend>
        <Step label="One less" symbol="−" onStep={target > 1 ? () => set(target - 1) : undefined} />
        <output className="stepper__count">{count(target)}</output>
        <Step
          label="One more"
          symbol="+"
          onStep={
            target < Math.min(MAX_QUANTITY, stock ?? MAX_QUANTITY)
              ? () => set(target + 1)
              : undefined
          }
        />
      </fieldset>
      <p className="line__sum">{price !== undefined && credits(price * target)}</p>
      <button
        type="button"
        className="sf-link line__remove"
        aria-label={`Remove ${name.text}`}
        onClick={() => {
          // The button goes with its line; the keyboard goes on from the page's top.
          focusMain();
          set(0);
        }}
      >
        Remove
      </button>
    </li>
  );
}

/** An item that is no game, or one that was taken off the shelf, has its id for a name. */
function useGameTitle(itemId: string) {
  const id = parseGameId(itemId);
  const overview = useOverview(id ?? 0, id !== null).data;
  const image = useImage(id ?? 0, id !== null);
  const text = overview?.name ?? `Item ${itemId}`;
  return {
    name: { text, link: overview ? <Link href={`/${overview.id}`}>{text}</Link> : text },
    banner: (
      <Banner
        url={image.data ?? null}
        failed={image.isError || id === null}
        name={text}
        alt=""
        lazy
      />
    ),
  };
}

/** The quantity that was asked for last, shown at once; the store follows. */
function useQuantity(itemId: string, quantity: number) {
  const { operations } = useCart();
  const [pending, setPending] = useState<{ target: number } | null>(null);
  const [error, setError] = useState<string | null>(null);
  const set = (target: number) => {
    const request = { target };
    setPending(request);
    setError(null);
    const settled = () => setPending((latest) => (latest === request ? null : latest));
    operations.setQuantity(itemId, target).then(settled, (error) => {
      settled();
      setError(explainError(error));
    });
  };
  return { target: pending?.target ?? quantity, set, error };
}

function Shortage({ target, stock }: { target: number; stock: number | undefined }) {
  if (stock === undefined || target <= stock) return null;
  return (
    <p className="line__error">
      {stock === 0 ? 'Sold out: please remove it.' : `Only ${count(stock)} left.`}
    </p>
  );
}

interface StepProps {
  label: string;
  symbol: string;
  /** Undefined: no further in this direction. */
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
