import { useState } from 'react';

/** The cursors of a list's pages, for going back. */
export function usePages() {
  const [cursors, setCursors] = useState<readonly string[]>([]);
  return {
    /** Of the page that is shown; null on the first. */
    after: cursors.at(-1) ?? null,
    page: cursors.length + 1,
    back: () => setCursors(cursors.slice(0, -1)),
    forth: (next: string) => setCursors([...cursors, next]),
    first: () => setCursors([]),
  };
}

interface Props {
  /** What is paged, such as `Messages`. */
  name: string;
  pages: ReturnType<typeof usePages>;
  next: string | null;
  backLabel: string;
  forthLabel: string;
}

/** Buttons for the neighbouring pages of a list; nothing for a list of one page. */
export function Pager({ name, pages, next, backLabel, forthLabel }: Props) {
  if (pages.page === 1 && next === null) return null;
  const first = pages.page === 1;
  return (
    <nav className="list-pager" aria-label={`${name} pages`}>
      <button
        type="button"
        className="sf-button sf-button--secondary"
        aria-disabled={first}
        onClick={first ? undefined : pages.back}
      >
        <span aria-hidden="true">←</span> {backLabel}
      </button>
      <span className="sf-muted" role="status">
        Page {pages.page}
      </span>
      <button
        type="button"
        className="sf-button sf-button--secondary"
        aria-disabled={next === null}
        onClick={next === null ? undefined : () => pages.forth(next)}
      >
        {forthLabel} <span aria-hidden="true">→</span>
      </button>
    </nav>
  );
}
