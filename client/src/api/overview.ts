import { asArray, asFields, asInteger, asText, malformed } from './guards';

export interface Overview {
  readonly id: number;
  readonly name: string;
  readonly description: string;
  /** As stored; the first ten characters are the date. */
  readonly releaseDate: string;
  readonly developer: string;
  readonly publisher: string;
  readonly tags: readonly string[];
}

export interface CataloguePage {
  readonly overviews: readonly Overview[];
  /** Opaque; null on the last page. */
  readonly next: string | null;
}

/** The API returns one overview as an array of one. */
export function parseOverviewResponse(response: unknown): Overview {
  const list = asArray(response, 'overview');
  if (list.length !== 1) throw malformed('overview: not exactly one');
  return parseOverview(list[0]);
}

export function parseCataloguePage(response: unknown): CataloguePage {
  const fields = asFields(response, 'catalogue');
  return {
    overviews: asArray(fields.overviews, 'overviews').map(parseOverview),
    next: fields.next === null ? null : asText(fields.next, 'next'),
  };
}

function parseOverview(value: unknown): Overview {
  const fields = asFields(value, 'overview');
  return {
    id: asInteger(fields.game_id, 'game_id'),
    name: asText(fields.game_name, 'game_name').replaceAll('_', ' '),
    description: asText(fields.description, 'description'),
    releaseDate: asText(fields.release_date, 'release_date'),
    developer: asText(fields.developer, 'developer'),
    publisher: asText(fields.publisher, 'publisher'),
    tags: asArray(fields.tags, 'tags').map((tag) => asText(tag, 'tag')),
  };
}
