import { ApiError } from './errors';
import { asText, malformed } from './guards';
import {
  type CataloguePage,
  type Overview,
  parseCataloguePage,
  parseOverviewResponse,
} from './overview';
import { apiUrl, getJson } from './request';
import { parseReviews, type Review } from './reviews';

/** Games per catalogue page; divisible by 1, 2, 3 and 4, so that the last row of the grid is full. */
const PAGE_SIZE = 24;

/** The store's read routes below one base URL. */
export interface StoreApi {
  overview(id: number, signal: AbortSignal): Promise<Overview>;
  catalogue(after: string | null, signal: AbortSignal): Promise<CataloguePage>;
  /** Absolute URL of the game's banner. */
  image(id: number, signal: AbortSignal): Promise<string>;
  /** Empty when the game has no reviews. */
  reviews(id: number, signal: AbortSignal): Promise<readonly Review[]>;
}

export function createStoreApi(base: string): StoreApi {
  const get = (path: string, signal: AbortSignal) => getJson(apiUrl(base, path), signal);
  return {
    overview: async (id, signal) => parseOverviewResponse(await get(`/api/overview/${id}`, signal)),
    catalogue: async (after, signal) => {
      const query = new URLSearchParams({ limit: String(PAGE_SIZE) });
      if (after !== null) query.set('after', after);
      return parseCataloguePage(await get(`/api/overview?${query}`, signal));
    },
    image: async (id, signal) =>
      resolveImage(asText(await get(`/api/overviewImage/${id}`, signal), 'image'), base),
    reviews: async (id, signal) => parseReviews(await getReviews(get, id, signal)),
  };
}

function resolveImage(url: string, base: string): string {
  if (url === '' || !URL.canParse(url, base)) throw malformed('image');
  return new URL(url, base).href;
}

async function getReviews(
  get: (path: string, signal: AbortSignal) => Promise<unknown>,
  id: number,
  signal: AbortSignal,
) {
  try {
    return await get(`/api/reviews/${id}`, signal);
  } catch (error) {
    if (error instanceof ApiError && error.kind === 'missing') return [];
    throw error;
  }
}
