/** How chips of given widths fill rows, as a wrapping flex line does. All lengths in px. */
export interface Room {
  readonly width: number;
  readonly gap: number;
  readonly rows: number;
  /** Kept free at the end of the last row for the button that shows the rest. */
  readonly reserve: number;
}

/** How many of the first chips to show; all of them when they fit without the button. */
export function fittingCount(widths: readonly number[], room: Room): number {
  const all = fill(widths, room, 0);
  // One chip alone is always shown: a button that hides everything would help nobody.
  return all === widths.length ? all : Math.max(1, fill(widths, room, room.reserve));
}

function fill(widths: readonly number[], { width, gap, rows }: Room, reserve: number): number {
  let row = 1;
  let used = 0;
  for (const [index, chip] of widths.entries()) {
    const start = used === 0 ? 0 : used + gap;
    const end = start + chip + (row === rows && reserve > 0 ? gap + reserve : 0);
    if (end > width && used > 0) {
      if (row === rows) return index;
      row += 1;
      if (row === rows && chip + gap + reserve > width && reserve > 0) return index;
      used = chip;
    } else {
      used = start + chip;
    }
  }
  return widths.length;
}
