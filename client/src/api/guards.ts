import { ApiError } from './errors';

/** Checks of response bodies at the boundary, so that the code behind it can rely on their types. */

export type Fields = Readonly<Record<string, unknown>>;

export function malformed(what: string): ApiError {
  return new ApiError('malformed', `unexpected response: ${what}`);
}

export function asFields(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed(what);
  return value as Fields;
}

export function asArray(value: unknown, what: string): readonly unknown[] {
  if (!Array.isArray(value)) throw malformed(what);
  return value;
}

export function asText(value: unknown, what: string): string {
  if (typeof value !== 'string') throw malformed(what);
  return value;
}

export function asBoolean(value: unknown, what: string): boolean {
  if (typeof value !== 'boolean') throw malformed(what);
  return value;
}

export function asInteger(value: unknown, what: string): number {
  if (!Number.isSafeInteger(value)) throw malformed(what);
  return value as number;
}

/** Milliseconds since the epoch. */
export function asTime(value: unknown, what: string): number {
  const time = Date.parse(asText(value, what));
  if (Number.isNaN(time)) throw malformed(what);
  return time;
}
