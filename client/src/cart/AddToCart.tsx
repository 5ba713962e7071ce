import type { Item } from '../api/cart';
import { quantityOf } from './acts';
import { useCart } from './context';
import { useAct, useCurrentOrder } from './hooks';
import { added, notAdded } from './messages';
import { CartPicture } from './pictures';

interface Props {
  item: string;
  /** Of the game. */
  name: string;
  stocked: Item;
  /** On a card there is no place for many words. */
  compact?: boolean;
}

export function AddToCart({ item, name, stocked, compact = false }: Props) {
  const { acts, say } = useCart();
  const order = useCurrentOrder();
  const { run, busy, done } = useAct(async () => {
    try {
      await acts.add(item);
      say(added(name));
    } catch (error) {
      say(notAdded(name, error));
      throw error;
    }
  });
  const inCart = order.data ? quantityOf(order.data, item) : 0;
  const allTaken = inCart >= stocked.stock;
  const idle = !(busy || done || allTaken);
  return (
    // Not `disabled` while busy: that would drop the keyboard's focus.
    <button
      type="button"
      className={`sf-button add ${compact ? 'add--compact' : ''}`}
      aria-disabled={!idle}
      aria-label={compact ? `Add ${name} to the cart` : undefined}
      data-added={done || undefined}
      onClick={idle ? () => run() : undefined}
    >
      {done || allTaken ? <Tick /> : <CartPicture size={compact ? 18 : 20} />}
      {!compact && words(busy, done, allTaken)}
      {compact && inCart > 0 && <span className="add__count">{inCart}</span>}
    </button>
  );
}

function words(busy: boolean, done: boolean, allTaken: boolean): string {
  if (busy) return 'Adding …';
  if (done) return 'Added';
  return allTaken ? 'All in your cart' : 'Add to cart';
}

function Tick() {
  return (
    <svg viewBox="0 0 20 20" width="18" height="18" fill="none" aria-hidden="true">
      <path d="m4 10.5 4 4 8-9" stroke="currentColor" strokeWidth="2.25" strokeLinecap="round" />
    </svg>
  );
}
