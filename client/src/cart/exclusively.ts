const LOCK = 'storefront.cart';

let last: Promise<unknown> = Promise.resolve();

/**
 * Runs one act at a time: in this browser where it has locks (they need a secure origin), else in
 * this tab. Two tabs, or two clicks, then cannot both make the first order.
 */
export function exclusively<T>(act: () => Promise<T>): Promise<T> {
  const { locks } = navigator as { locks?: LockManager };
  const run = async () => (locks ? await locks.request(LOCK, act) : await act());
  const mine = last.then(run, run);
  last = mine.catch(() => {});
  return mine;
}
