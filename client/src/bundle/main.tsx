import { bundleApiBase } from '../api/base';
import { mountOverview } from './mount';

declare global {
  /** A host page may set this before the script runs, to name the store's API itself. */
  var STOREFRONT_API_URL: unknown;
}

// Only known while the script itself runs, so it is taken first.
const scriptUrl =
  document.currentScript instanceof HTMLScriptElement ? document.currentScript.src : null;

function start() {
  const container = document.getElementById('overview');
  if (container === null) return;
  const base = bundleApiBase(globalThis.STOREFRONT_API_URL, scriptUrl, window.location.origin);
  mountOverview(container, base, window.location.pathname);
}

if (document.readyState === 'loading') {
  // Loaded in <head>: the element it mounts into may come later.
  document.addEventListener('DOMContentLoaded', start, { once: true });
} else {
  start();
}
