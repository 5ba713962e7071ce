import { Link } from '../router/Link';
import { usePathname } from '../router/location';
import { games, totalQuantity } from './amounts';
import { useCurrentOrder, useReconcileOrder } from './hooks';
import { CartIcon } from './icons';
import { CART_PATH, isCartPath } from './path';

/** The link to the cart, with the number of games in it. */
export function CartButton() {
  const { data } = useCurrentOrder();
  useReconcileOrder();
  const quantity = data && !data.paid ? totalQuantity(data.lines) : 0;
  return (
    <Link
      className="cart-button"
      href={CART_PATH}
      aria-label={quantity === 0 ? 'Cart' : `Cart, ${games(quantity)}`}
      aria-current={isCartPath(usePathname()) ? 'page' : undefined}
    >
      <CartIcon size={22} />
      {quantity > 0 && (
        <span className="cart-button__count">{quantity > 99 ? '99+' : quantity}</span>
      )}
    </Link>
  );
}
