import { useRef, useState } from 'react';
import { plural } from '../ui/format';
import { useVisibleTagCount } from './useVisibleTagCount';

/** The tags that fit, and a button that shows the rest. Key it by the tags: it measures them once. */
export function Tags({ tags }: { tags: readonly string[] }) {
  const list = useRef<HTMLUListElement>(null);
  const [expanded, setExpanded] = useState(false);
  const visibleCount = useVisibleTagCount(list, tags.length);
  const hidden = tags.length - visibleCount;
  return (
    <ul className="sf-list sf-tags" ref={list}>
      {tags.map((tag, index) => (
        <li key={index} className="sf-tag" hidden={!expanded && index >= visibleCount}>
          {tag}
        </li>
      ))}
      {hidden > 0 && (
        <li>
          <button
            type="button"
            className="sf-tag sf-tag--more"
            aria-expanded={expanded}
            aria-label={expanded ? 'Show fewer tags' : `Show ${plural(hidden, 'more tag')}`}
            onClick={() => setExpanded(!expanded)}
          >
            {expanded ? '−' : `+${hidden}`}
          </button>
        </li>
      )}
    </ul>
  );
}
