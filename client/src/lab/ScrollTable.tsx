import { type ReactNode, useId } from 'react';

interface Props {
  /** The accessible name of the table and of the group that scrolls it. */
  caption: string;
  head: ReactNode;
  children: ReactNode;
}

/** A table in a group that scrolls, by keyboard too. */
export function ScrollTable({ caption, head, children }: Props) {
  const captionId = useId();
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for controls
    <div
      className="table-scroll"
      role="group"
      aria-labelledby={captionId}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable
      tabIndex={0}
    >
      <table className="table">
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
