import { type RefObject, useLayoutEffect, useState } from 'react';
import { visibleTagCount } from './visibleTagCount';

const ROWS = 2;
/** Width of the "+12" button, in px. */
const MORE_BUTTON_WIDTH = 56;

/**
 * How many of the list's items fit into it, updated when it is resized. Widths are measured on the
 * first render, so all items must be visible then; `key` the component by its items.
 */
export function useVisibleTagCount(list: RefObject<HTMLElement | null>, total: number): number {
  const [count, setCount] = useState(total);
  useLayoutEffect(() => {
    const element = list.current;
    if (element === null) return;
    const items = Array.from(element.children).slice(0, total) as HTMLElement[];
    const widths = items.map((item) => item.offsetWidth);
    const gap = Number.parseFloat(getComputedStyle(element).columnGap) || 0;
    const measure = () =>
      setCount(
        visibleTagCount(widths, {
          width: element.clientWidth,
          gap,
          rows: ROWS,
          buttonWidth: MORE_BUTTON_WIDTH,
        }),
      );
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [list, total]);
  return count;
}
