import { bundleApiBase } from '../api/base';
import { mountOverview } from './mount';

declare global {
  /** The API's base URL; a host page may set it before the script runs. */
  var STOREFRONT_API_URL: unknown;
}

// `currentScript` is null in callbacks, so it must be read while the script itself runs.
const scriptUrl =
  document.currentScript instanceof HTMLScriptElement ? document.currentScript.src : null;

function start() {
  const container = document.getElementById('overview');
  if (container === null) return;
  const base = bundleApiBase(globalThis.STOREFRONT_API_URL, scriptUrl, window.location.origin);
  mountOverview(container, base, window.location.pathname);
}

if (document.readyState === 'loading') {
  // A script in <head> runs before the element it mounts into exists.
  document.addEventListener('DOMContentLoaded', start, { once: true });
} else {
  start();
}
