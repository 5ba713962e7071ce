/** Finds the base URL of the API, always an absolute http(s) URL. */

/** For the store's pages: the server writes the URL into a meta element; else the page's origin. */
export function pageApiBase(document: Document, origin: string): string {
  const meta = document.querySelector('meta[name="storefront-api-url"]');
  return httpUrl(meta?.getAttribute('content'), origin) ?? origin;
}

/**
 * For another team's page: the global that page sets, else the origin that served the script, because
 * the page's own origin is another server; for an inlined script the page's origin is all there is.
 */
export function bundleApiBase(override: unknown, scriptUrl: string | null, origin: string): string {
  const script = httpUrl(scriptUrl, origin);
  return httpUrl(override, origin) ?? (script === null ? origin : new URL(script).origin);
}

function httpUrl(value: unknown, origin: string): string | null {
  if (typeof value !== 'string' || value.trim() === '') return null;
  if (!URL.canParse(value.trim(), origin)) return null;
  const url = new URL(value.trim(), origin);
  return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
}
