/**
 * Why a request gave no usable response:
 * - `missing`: the resource does not exist (404);
 * - `unreachable`: no response in time, or a status that means "try again later";
 * - `refused`: the service rejected the request, and would reject a repeat (other 4xx);
 * - `failed`: the service responded with another error;
 * - `malformed`: the body violates the API contract.
 */
export type ErrorKind = 'missing' | 'unreachable' | 'refused' | 'failed' | 'malformed';

export class ApiError extends Error {
  readonly kind: ErrorKind;

  constructor(kind: ErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ApiError';
    this.kind = kind;
  }
}

/** Any other exception is a bug in this page and is reported as `failed`. */
export function errorKind(error: unknown): ErrorKind {
  return error instanceof ApiError ? error.kind : 'failed';
}
