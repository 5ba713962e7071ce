import { Link } from '../router/Link';
import { usePathname } from '../router/location';
import { games, totalQuantity } from './amounts';
import { useCurrentOrder, useOrderPutRight } from './hooks';
import { CartPicture } from './pictures';
import { CART, isCart } from './place';

/** The way to the cart, with how much is in it. */
export function CartButton() {
  const { data } = useCurrentOrder();
  useOrderPutRight();
  const quantity = data && !data.paid ? totalQuantity(data.lines) : 0;
  return (
    <Link
      className="cart-button"
      href={CART}
      aria-label={quantity === 0 ? 'Cart' : `Cart, ${games(quantity)}`}
      aria-current={isCart(usePathname()) ? 'page' : undefined}
    >
      <CartPicture size={22} />
      {quantity > 0 && (
        <span className="cart-button__count">{quantity > 99 ? '99+' : quantity}</span>
      )}
    </Link>
  );
}
