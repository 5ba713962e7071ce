import { type RefObject, useLayoutEffect, useState } from 'react';
import { fittingCount } from './fitting';

const ROWS = 2;
/** The "+12" button. */
const RESERVE = 56;

/**
 * How many of the list's items fit, now and when the list is resized. The items must be rendered
 * visibly at first, which is when their widths are taken; `key` the component by its items.
 */
export function useFittingCount(list: RefObject<HTMLElement | null>, total: number): number {
  const [fitting, setFitting] = useState(total);
  useLayoutEffect(() => {
    const element = list.current;
    if (element === null) return;
    const items = Array.from(element.children).slice(0, total) as HTMLElement[];
    const widths = items.map((item) => item.offsetWidth);
    const gap = Number.parseFloat(getComputedStyle(element).columnGap) || 0;
    const fit = () =>
      setFitting(
        fittingCount(widths, { width: element.clientWidth, gap, rows: ROWS, reserve: RESERVE }),
      );
    fit();
    const observer = new ResizeObserver(fit);
    observer.observe(element);
    return () => observer.disconnect();
  }, [list, total]);
  return fitting;
}
