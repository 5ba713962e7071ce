/** How chips of given widths fill rows, as a wrapping flex line does. All lengths in px. */
export interface Layout {
  readonly width: number;
  readonly gap: number;
  readonly rows: number;
  /** Kept free at the end of the last row for the button that shows the rest. */
  readonly buttonWidth: number;
}

/** How many of the first chips to show; all of them when they fit without the button. */
export function visibleTagCount(widths: readonly number[], layout: Layout): number {
  const all = countThatFits(widths, layout, 0);
  // One chip alone is always shown: a button that hides everything would help nobody.
  return all === widths.length
    ? all
    : Math.max(1, countThatFits(widths, layout, layout.buttonWidth));
}

function countThatFits(
  widths: readonly number[],
  { width, gap, rows }: Layout,
  buttonWidth: number,
): number {
  let row = 1;
  let used = 0;
  for (const [index, chip] of widths.entries()) {
    const start = used === 0 ? 0 : used + gap;
    const end = start + chip + (row === rows && buttonWidth > 0 ? gap + buttonWidth : 0);
    if (end > width && used > 0) {
      if (row === rows) return index;
      row += 1;
      if (row === rows && chip + gap + buttonWidth > width && buttonWidth > 0) return index;
      used = chip;
    } else {
      used = start + chip;
    }
  }
  return widths.length;
}
