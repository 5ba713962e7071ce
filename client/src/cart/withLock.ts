const LOCK_NAME = 'storefront.cart';

let previous: Promise<unknown> = Promise.resolve();

/**
 * Runs cart operations one at a time, because two concurrent ones would both read "no order" and
 * each create one. The Web Locks API excludes other tabs; it needs a secure context, without which
 * the queue of this tab is the only exclusion.
 */
export function withLock<T>(operation: () => Promise<T>): Promise<T> {
  const { locks } = navigator as { locks?: LockManager };
  const run = async () => (locks ? await locks.request(LOCK_NAME, operation) : await operation());
  // Runs after the previous operation whether that succeeded or failed.
  const result = previous.then(run, run);
  previous = result.catch(() => {});
  return result;
}
