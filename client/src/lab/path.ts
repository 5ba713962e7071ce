/** The page's own addresses. The server answers all of them with the page. */

export type Route =
  | { readonly page: 'home' }
  | { readonly page: 'run'; readonly ids: readonly string[] }
  | { readonly page: 'replay'; readonly keys: readonly string[]; readonly patterns: string }
  | { readonly page: 'compare'; readonly a: readonly string[]; readonly b: readonly string[] }
  | { readonly page: 'missing' };

export function parseRoute(pathname: string): Route {
  const [page, first, second, ...rest] = pathname.split('/').filter((part) => part !== '');
  if (page === undefined) return { page: 'home' };
  if (rest.length > 0 || first === undefined) return { page: 'missing' };
  if (page === 'run' && second === undefined) return { page, ids: list(first) };
  if (second === undefined) return { page: 'missing' };
  if (page === 'replay' && /^[1-3]-[1-3]$/.test(second)) {
    return { page, keys: list(first), patterns: second };
  }
  if (page === 'compare') return { page, a: list(first), b: list(second) };
  return { page: 'missing' };
}

export function runHref(ids: readonly string[]): string {
  return `/run/${join(ids)}`;
}

export function replayHref(keys: readonly string[], patterns: string): string {
  return `/replay/${join(keys)}/${patterns}`;
}

export function compareHref(a: readonly string[], b: readonly string[]): string {
  return `/compare/${join(a)}/${join(b)}`;
}

function join(ids: readonly string[]): string {
  return ids.map(encodeURIComponent).join(',');
}

function list(part: string): readonly string[] {
  return part.split(',').filter((id) => id !== '');
}
