/** What the tests of one file need: a running store and a browser in front of it. */
import { after, before } from 'node:test';
import { useBrowser } from './browser.js';
import { startStorefront } from './storefront.js';

/** Call it at the file's top. `flags` may be a function, for addresses known later. */
export function useShop(flags = []) {
  const shop = { store: undefined };
  before(async () => {
    shop.store = await startStorefront(typeof flags === 'function' ? await flags() : flags);
  });
  after(() => shop.store?.stop());
  const browser = useBrowser();
  return {
    get store() {
      return shop.store;
    },
    /** A page of the store. */
    visit: (path, options) => browser.open(`${shop.store.origin}${path}`, options),
    /** Any page. */
    open: browser.open,
  };
}
