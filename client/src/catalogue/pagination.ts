/** Where in the catalogue the reader is. */

/** The cursors of the pages before this one; null, the first page, comes first. */
export type Cursors = readonly (string | null)[];

export function catalogueHref(after: string | null): string {
  return after === null ? '/' : `/?${new URLSearchParams({ after })}`;
}

/**
 * The way here, as kept in the history entry: the store's cursors lead forward only. Null when the
 * page was opened by its address alone.
 */
export function previousCursors(historyState: unknown, after: string | null): Cursors | null {
  if (after === null) return [];
  const cursors = (historyState as { previousCursors?: unknown } | null)?.previousCursors;
  const valid =
    Array.isArray(cursors) &&
    cursors.every((cursor) => cursor === null || typeof cursor === 'string');
  return valid ? cursors : null;
}
