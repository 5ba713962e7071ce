/** Where in the catalogue the reader is. */

/** The cursors of the pages before this one; null, the first page, comes first. */
export type Trail = readonly (string | null)[];

export function catalogueHref(after: string | null): string {
  return after === null ? '/' : `/?${new URLSearchParams({ after })}`;
}

/**
 * The way here, as kept in the history entry: the store's cursors lead forward only. Null when the
 * page was opened by its address alone.
 */
export function trailOf(historyState: unknown, after: string | null): Trail | null {
  if (after === null) return [];
  const trail = (historyState as { trail?: unknown } | null)?.trail;
  const valid =
    Array.isArray(trail) && trail.every((cursor) => cursor === null || typeof cursor === 'string');
  return valid ? trail : null;
}
