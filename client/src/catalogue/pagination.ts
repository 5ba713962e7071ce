/** Cursors of the pages before the current one, in order; the first is null, for the first page. */
export type Cursors = readonly (string | null)[];

export function catalogueHref(after: string | null): string {
  return after === null ? '/' : `/?${new URLSearchParams({ after })}`;
}

/**
 * The previous cursors, read from the history entry because the store's cursors lead forward only.
 * Null when the page was opened by its URL alone.
 */
export function previousCursors(historyState: unknown, after: string | null): Cursors | null {
  if (after === null) return [];
  const cursors = (historyState as { previousCursors?: unknown } | null)?.previousCursors;
  const valid =
    Array.isArray(cursors) &&
    cursors.every((cursor) => cursor === null || typeof cursor === 'string');
  return valid ? cursors : null;
}
