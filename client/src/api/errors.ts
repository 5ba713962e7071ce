/**
 * Why a request gave no usable response:
 * - `missing`: the resource does not exist (404);
 * - `unreachable`: no response in time, or a status that means "try again later";
 * - `refused`: the service rejected the request, and would reject a repeat (other 4xx);
 * - `failed`: the service responded with another error;
 * - `malformed`: the body violates the API contract.
 */
export type ErrorKind = 'missing' | 'unreachable' | 'refused' | 'failed' | 'malformed';

interface Options extends ErrorOptions {
  readonly retryAfterMs?: number;
  readonly detail?: string | null;
}

export class ApiError extends Error {
  readonly kind: ErrorKind;
  /** How long the service asked to wait before a repeat; 0 if it did not say. */
  readonly retryAfterMs: number;
  /** What the service said about it in the body, for the user; null if nothing. */
  readonly detail: string | null;

  constructor(kind: ErrorKind, message: string, options: Options = {}) {
    super(message, options);
    this.name = 'ApiError';
    this.kind = kind;
    this.retryAfterMs = options.retryAfterMs ?? 0;
    this.detail = options.detail ?? null;
  }
}

/** Any other exception is a bug in this page and is reported as `failed`. */
export function errorKind(error: unknown): ErrorKind {
  return error instanceof ApiError ? error.kind : 'failed';
}
