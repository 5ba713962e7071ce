import { errorKind } from './errors';
import { type Repeats, repeatWhileUnreachable } from './repeat';
import type { WriteOptions } from './request';

/** No try of a write was answered, so it may have taken effect. */
export class Unconfirmed extends Error {}

/**
 * One act of the visitor, such as a click, and the requests that it takes. Each write of the act has a
 * key of its own, because the store ties a key to one request, and the same key each time it is sent.
 */
export class Act {
  readonly #id = newId();
  readonly #repeats: Repeats;
  #writes = 0;

  constructor(repeats: Repeats) {
    this.#repeats = repeats;
  }

  read<T>(request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    return repeatWhileUnreachable(() => request(this.#repeats.signal), this.#repeats);
  }

  async write<T>(request: (options: WriteOptions) => Promise<T>): Promise<T> {
    this.#writes += 1;
    const options = { key: `${this.#id}.${this.#writes}`, signal: this.#repeats.signal };
    try {
      return await repeatWhileUnreachable(() => request(options), this.#repeats);
    } catch (cause) {
      if (errorKind(cause) !== 'unreachable') throw cause;
      throw new Unconfirmed('no try of the write was answered', { cause });
    }
  }
}

function newId(): string {
  // Browsers have no `randomUUID` on pages that are served over plain http.
  return (crypto as Partial<Crypto>).randomUUID?.() ?? randomHex();
}

function randomHex(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
