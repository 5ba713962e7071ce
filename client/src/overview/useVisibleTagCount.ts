import { type RefObject, useLayoutEffect, useState } from 'react';
import { visibleTagCount } from './visibleTagCount';

const ROWS = 2;
/** The "+12" button. */
const MORE_BUTTON_WIDTH = 56;

/**
 * How many of the list's items fit, now and when the list is resized. The items must be rendered
 * visibly at first, which is when their widths are taken; `key` the component by its items.
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
