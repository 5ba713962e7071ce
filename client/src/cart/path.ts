export const CART_PATH = '/cart';

/** Whether `pathname` is the cart. The server ignores a trailing slash, so this does too. */
export function isCartPath(pathname: string): boolean {
  return pathname.replace(/\/+$/, '') === CART_PATH;
}
