const INT32_MAX = 2_147_483_647;
const INT32_MIN = -2_147_483_648;

/** A game's number as people write it; null for whatever the store could not hold. */
export function parseGameId(text: string): number | null {
  if (!/^-?\d+$/.test(text)) return null;
  const id = Number(text);
  // Adding zero makes "-0" an ordinary 0.
  return id >= INT32_MIN && id <= INT32_MAX ? id + 0 : null;
}

/** The game that a page at `/1`, `/1/` or `/1/anything` is about. */
export function gameIdInPath(pathname: string): number | null {
  return parseGameId(pathname.split('/')[1] ?? '');
}
