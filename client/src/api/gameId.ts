const INT32_MAX = 2_147_483_647;
const INT32_MIN = -2_147_483_648;

/** Parses a decimal game number; null if it is malformed or outside the store's int32 range. */
export function parseGameId(text: string): number | null {
  if (!/^-?\d+$/.test(text)) return null;
  const id = Number(text);
  // Adding 0 turns -0 into 0.
  return id >= INT32_MIN && id <= INT32_MAX ? id + 0 : null;
}

/** The game number of a page at `/1`, `/1/` or `/1/anything`. */
export function gameIdInPath(pathname: string): number | null {
  return parseGameId(pathname.split('/')[1] ?? '');
}
