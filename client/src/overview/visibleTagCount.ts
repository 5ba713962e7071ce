/** The space for the tags, which wrap like a flex container. All lengths in px. */
export interface Layout {
  readonly width: number;
  readonly gap: number;
  readonly rows: number;
  /** Reserved at the end of the last row for the button that shows the rest. */
  readonly buttonWidth: number;
}

/** How many tags to show, by their widths; all of them when they fit without the button. */
export function visibleTagCount(widths: readonly number[], layout: Layout): number {
  const all = countThatFits(widths, layout, 0);
  // At least one tag, because a list that holds only the button says nothing about the game.
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
  for (const [index, tag] of widths.entries()) {
    const start = used === 0 ? 0 : used + gap;
    const end = start + tag + (row === rows && buttonWidth > 0 ? gap + buttonWidth : 0);
    if (end > width && used > 0) {
      if (row === rows) return index;
      row += 1;
      if (row === rows && tag + gap + buttonWidth > width && buttonWidth > 0) return index;
      used = tag;
    } else {
      used = start + tag;
    }
  }
  return widths.length;
}
