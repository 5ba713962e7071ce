/**
 * Why an answer could not be used:
 * - `missing`: the service answered that there is no such thing (404);
 * - `unreachable`: no answer in time, or one from a gateway in the service's place;
 * - `refused`: the service did not take the request, and would not take it again;
 * - `failed`: the service answered with another error;
 * - `malformed`: the answer is not what the contract says.
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

/** Anything that is not an ApiError is our own mistake, and reads as a failure. */
export function errorKind(error: unknown): ErrorKind {
  return error instanceof ApiError ? error.kind : 'failed';
}
