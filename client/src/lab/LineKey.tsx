import type { SideName } from './totals';

/** A piece of a line as the chart draws it. */
export function LineKey({ side, dashed = false }: { side: SideName; dashed?: boolean }) {
  return (
    <svg className="line-key" data-side={side} viewBox="0 0 22 8" aria-hidden="true">
      <line x1="1" y1="4" x2="21" y2="4" strokeDasharray={dashed ? '5 3' : undefined} />
    </svg>
  );
}
