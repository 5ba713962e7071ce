/** Where the cart is. */
export const CART_PATH = '/cart';

/** Whether a page at this path is the cart; the server ignores a trailing slash, so do we. */
export function isCartPath(pathname: string): boolean {
  return pathname.replace(/\/+$/, '') === CART_PATH;
}
