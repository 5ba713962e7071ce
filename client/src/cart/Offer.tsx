import { itemOfGame } from '../api/cart';
import type { Overview } from '../api/overview';
import { count } from '../overview/sentences';
import { Link } from '../router/Link';
import { AddToCart } from './AddToCart';
import { quantityOf } from './acts';
import { credits } from './amounts';
import { useCurrentOrder, useItem } from './hooks';
import { CART } from './place';

/** From here down a visitor is told how many are left. */
const FEW = 5;

/** What a game costs, on its own page; nothing where it is not for sale. */
export function GameOffer({ overview }: { overview: Overview }) {
  const item = itemOfGame(overview.id);
  const { data: stocked, isError } = useItem(item);
  const order = useCurrentOrder();
  // Its place is kept: what is below must not jump when the price arrives.
  if (stocked === undefined && !isError) return <div className="offer offer--waiting" />;
  if (!stocked) return null;
  const inCart = order.data ? quantityOf(order.data, item) : 0;
  return (
    <section className="offer" aria-label="Buy this game">
      <p className="offer__price">{credits(stocked.price)}</p>
      <p className="offer__stock">{stockWords(stocked.stock)}</p>
      {stocked.stock > 0 && (
        <div className="offer__buy">
          {inCart > 0 && (
            <Link className="offer__in" href={CART}>
              {count(inCart)} in your cart
            </Link>
          )}
          <AddToCart item={item} name={overview.name} stocked={stocked} />
        </div>
      )}
    </section>
  );
}

/** The same on a card of the catalogue. */
export function CardOffer({ overview, near }: { overview: Overview; near: boolean }) {
  const item = itemOfGame(overview.id);
  const { data: stocked, isError } = useItem(item, near);
  if (stocked === undefined && !isError) return <div className="card__offer" />;
  if (!stocked) return null;
  return (
    <div className="card__offer">
      <span className={stocked.stock > 0 ? 'card__price' : 'card__price card__price--out'}>
        {stocked.stock > 0 ? credits(stocked.price) : 'Sold out'}
      </span>
      {stocked.stock > 0 && (
        <AddToCart item={item} name={overview.name} stocked={stocked} compact />
      )}
    </div>
  );
}

function stockWords(stock: number): string {
  if (stock === 0) return 'Sold out';
  return stock <= FEW ? `Only ${count(stock)} left` : 'In stock';
}
