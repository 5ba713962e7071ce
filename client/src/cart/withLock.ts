const LOCK_NAME = 'storefront.cart';

let previous: Promise<unknown> = Promise.resolve();

/**
 * Runs one operation at a time: in this browser where it has locks (they need a secure origin), else in
 * this tab. Two tabs, or two clicks, then cannot both make the first order.
 */
export function withLock<T>(operation: () => Promise<T>): Promise<T> {
  const { locks } = navigator as { locks?: LockManager };
  const run = async () => (locks ? await locks.request(LOCK_NAME, operation) : await operation());
  const result = previous.then(run, run);
  previous = result.catch(() => {});
  return result;
}
