/** Finding the API's address. Every answer is an absolute http(s) URL. */

/** The page's own: what the server wrote into its meta element, else the page's origin. */
export function pageApiBase(document: Document, origin: string): string {
  const meta = document.querySelector('meta[name="storefront-api-url"]');
  return httpUrl(meta?.getAttribute('content'), origin) ?? origin;
}

/**
 * A foreign page's: what that page set globally, else the origin the script came from (the page's
 * own origin would be another team's server), else, for an inlined script, the page's.
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
