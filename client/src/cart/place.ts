/** Where the cart is. */
export const CART = '/cart';

/** Whether a page at this path is the cart; the server ignores a trailing slash, so do we. */
export function isCart(pathname: string): boolean {
  return pathname.replace(/\/+$/, '') === CART;
}
