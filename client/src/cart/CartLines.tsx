import { useState } from 'react';
import type { Line, Order } from '../api/cart';
import { parseGameId } from '../api/gameId';
import { useImage, useOverview } from '../api/queries';
import { Banner } from '../overview/Banner';
import { count } from '../overview/sentences';
import { focusMain } from '../page/main-landmark';
import { Link } from '../router/Link';
import { credits } from './amounts';
import { useCart } from './context';
import { useItem } from './hooks';
import { explainFailure } from './messages';

/** The most of one game that the buttons lead to. */
const MOST = 99;

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

function CartLine({ line: { item, quantity } }: { line: Line }) {
  const stocked = useItem(item).data;
  const { name, picture } = useTitle(item);
  const { wanted, set, failure } = useQuantity(item, quantity);
  const price = stocked?.price;
  const stock = stocked === null ? 0 : stocked?.stock;
  return (
    <li className="line">
      {picture}
      <div className="line__text">
        <p className="line__name">{name.link}</p>
        {price !== undefined && <p className="line__price">{credits(price)} each</p>}
        <Shortage wanted={wanted} stock={stock} />
        {failure && (
          <p className="line__short" role="alert">
            {failure}
          </p>
        )}
      </div>
      <fieldset className="stepper">
        <legend className="sf-visually-hidden">How many of {name.text}</legend>
        <Step label="One less" sign="−" onStep={wanted > 1 ? () => set(wanted - 1) : undefined} />
        <output className="stepper__count">{count(wanted)}</output>
        <Step
          label="One more"
          sign="+"
          onStep={wanted < Math.min(MOST, stock ?? MOST) ? () => set(wanted + 1) : undefined}
        />
      </fieldset>
      <p className="line__sum">{price !== undefined && credits(price * wanted)}</p>
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
function useTitle(item: string) {
  const id = parseGameId(item);
  const overview = useOverview(id ?? 0, id !== null).data;
  const image = useImage(id ?? 0, id !== null);
  const text = overview?.name ?? `Item ${item}`;
  return {
    name: { text, link: overview ? <Link href={`/${overview.id}`}>{text}</Link> : text },
    picture: (
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
function useQuantity(item: string, quantity: number) {
  const { acts } = useCart();
  const [asked, setAsked] = useState<{ wanted: number } | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  const set = (wanted: number) => {
    const mine = { wanted };
    setAsked(mine);
    setFailure(null);
    const settled = () => setAsked((latest) => (latest === mine ? null : latest));
    acts.setQuantity(item, wanted).then(settled, (error) => {
      settled();
      setFailure(explainFailure(error));
    });
  };
  return { wanted: asked?.wanted ?? quantity, set, failure };
}

function Shortage({ wanted, stock }: { wanted: number; stock: number | undefined }) {
  if (stock === undefined || wanted <= stock) return null;
  return (
    <p className="line__short">
      {stock === 0 ? 'Sold out: please remove it.' : `Only ${count(stock)} left.`}
    </p>
  );
}

interface StepProps {
  label: string;
  sign: string;
  /** Undefined: no further in this direction. */
  onStep: (() => void) | undefined;
}

function Step({ label, sign, onStep }: StepProps) {
  return (
    <button
      type="button"
      className="stepper__step"
      aria-label={label}
      aria-disabled={onStep === undefined}
      onClick={onStep}
    >
      {sign}
    </button>
  );
}
