/** A running store and a browser for the tests of one file. */
import { after, before } from 'node:test';
import { useBrowser } from './browser.js';
import { startStorefront } from './storefront.js';

/** Call it at the top of the file. `flags` may be a function, for addresses known only at run time. */
export function useSite(flags = []) {
  const site = { store: undefined };
  before(async () => {
    site.store = await startStorefront(typeof flags === 'function' ? await flags() : flags);
  });
  after(() => site.store?.stop());
  const browser = useBrowser();
  return {
    get store() {
      return site.store;
    },
    /** A page of the store. */
    openPage: (path, options) => browser.open(`${site.store.origin}${path}`, options),
    /** Any page. */
    openUrl: browser.open,
  };
}
