import type { Item } from '../api/cart';
import { useAction } from '../ui/useAction';
import { useCart } from './context';
import { useCurrentOrder } from './hooks';
import { CartIcon, CheckIcon } from './icons';
import { added, notAdded } from './messages';
import { quantityOf } from './operations';

interface Props {
  itemId: string;
  /** Of the game. */
  name: string;
  item: Item;
  /** On a card: an icon instead of text. */
  compact?: boolean;
}

export function AddToCart({ itemId, name, item, compact = false }: Props) {
  const { operations, showMessage } = useCart();
  const order = useCurrentOrder();
  const { run, busy, done } = useAction(async () => {
    try {
      await operations.add(itemId);
      showMessage(added(name));
    } catch (error) {
      showMessage(notAdded(name, error));
      throw error;
    }
  });
  const inCart = order.data ? quantityOf(order.data, itemId) : 0;
  const allInCart = inCart >= item.stock;
  const enabled = !(busy || done || allInCart);
  return (
    // Not `disabled` while busy, because a disabled button loses the keyboard focus.
    <button
      type="button"
      className={`sf-button add ${compact ? 'add--compact' : ''}`}
      aria-disabled={!enabled}
      aria-label={compact ? `Add ${name} to cart` : undefined}
      data-added={done || undefined}
      onClick={enabled ? () => run() : undefined}
    >
      {done || allInCart ? <CheckIcon /> : <CartIcon size={compact ? 18 : 20} />}
      {!compact && buttonLabel(busy, done, allInCart)}
      {compact && inCart > 0 && <span className="add__count">{inCart}</span>}
    </button>
  );
}

function buttonLabel(busy: boolean, done: boolean, allInCart: boolean): string {
  if (busy) return 'Adding…';
  if (done) return 'Added';
  return allInCart ? 'No more in stock' : 'Add to cart';
}
