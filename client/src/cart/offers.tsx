import { itemOfGame } from '../api/cart';
import type { Overview } from '../api/overview';
import { Link } from '../router/Link';
import { formatNumber } from '../ui/format';
import { AddToCart } from './AddToCart';
import { credits } from './amounts';
import { useCurrentOrder, useItem } from './hooks';
import { quantityOf } from './operations';
import { CART_PATH } from './path';

/** From this stock down, the exact number is shown. */
const LOW_STOCK = 5;

/** Price, stock and button on a game's page; nothing if the game is not for sale. */
export function GameOffer({ overview }: { overview: Overview }) {
  const itemId = itemOfGame(overview.id);
  const { data: item, isError } = useItem(itemId);
  const order = useCurrentOrder();
  // Reserves the height, so that the content below does not move when the price arrives.
  if (item === undefined && !isError) return <div className="offer offer--loading" />;
  if (!item) return null;
  const inCart = order.data ? quantityOf(order.data, itemId) : 0;
  return (
    <section className="offer" aria-label="Buy this game">
      <p className="offer__price">{credits(item.price)}</p>
      <p className="offer__stock">{stockText(item.stock)}</p>
      {item.stock > 0 && (
        <div className="offer__actions">
          {inCart > 0 && (
            <Link className="sf-link" href={CART_PATH}>
              {formatNumber(inCart)} in your cart
            </Link>
          )}
          <AddToCart itemId={itemId} name={overview.name} item={item} />
        </div>
      )}
    </section>
  );
}

/** The same on a catalogue card. */
export function CardOffer({ overview, near }: { overview: Overview; near: boolean }) {
  const itemId = itemOfGame(overview.id);
  const { data: item, isError } = useItem(itemId, near);
  if (item === undefined && !isError) return <div className="card__offer" />;
  if (!item) return null;
  return (
    <div className="card__offer">
      <span className={item.stock > 0 ? 'card__price' : 'card__price card__price--sold-out'}>
        {item.stock > 0 ? credits(item.price) : 'Sold out'}
      </span>
      {item.stock > 0 && <AddToCart itemId={itemId} name={overview.name} item={item} compact />}
    </div>
  );
}

function stockText(stock: number): string {
  if (stock === 0) return 'Sold out';
  return stock <= LOW_STOCK ? `Only ${formatNumber(stock)} left` : 'In stock';
}
