import { type ReactNode, useId } from 'react';

interface Props {
  /** The accessible name of the table and of the group that scrolls it. */
  caption: string;
  /** For `focusTable`. */
  id?: string;
  className?: string;
  head: ReactNode;
  children: ReactNode;
}

/** A table in a group that scrolls sideways, by keyboard too, where the window is narrow. */
export function DataTable({ caption, id, className = '', head, children }: Props) {
  const captionId = useId();
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for controls
    <div
      id={id}
      className="table-scroll"
      role="group"
      aria-labelledby={captionId}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable
      tabIndex={0}
    >
      <table className={`table ${className}`}>
        <caption id={captionId} className="sf-visually-hidden">
          {caption}
        </caption>
        <thead>
          <tr>{head}</tr>
        </thead>
        <tbody>{children}</tbody>
      </table>
    </div>
  );
}

/** For when the focused button disappears with what it acted on. */
export function focusTable(id: string): void {
  document.getElementById(id)?.focus({ preventScroll: true });
}
