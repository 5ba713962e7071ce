import { errorKind } from './errors';
import { type Repeats, repeatWhileUnreachable } from './repeat';
import type { WriteOptions } from './request';

/** How long after the visitor's act its requests are repeated. */
const REPEAT_MS = 15_000;

/** No try of a write was answered, so it may have taken effect. */
export class Unconfirmed extends Error {}

/**
 * One act of the visitor, such as a click, and the requests that it takes. Each write of the act has a
 * key of its own, because the store ties a key to one request, and the same key each time it is sent.
 */
export class Act {
  readonly #repeats: Repeats;
  readonly #id: string;
  #writes = 0;

  /** `id`: that of an earlier act, which is done again because no try of a write was answered. */
  constructor(repeats: Repeats, id = newActId()) {
    this.#repeats = repeats;
    this.#id = id;
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

/**
 * Performs what a click asks for. `onWait` gets a function that stops the repeats when the act begins to
 * wait for a store that cannot be reached, and null when the act ends.
 */
export async function performAct<T>(
  operation: (act: Act) => Promise<T>,
  onWait: (stop: (() => void) | null) => void,
  { deadline = newDeadline(), id = newActId() } = {},
): Promise<T> {
  const controller = new AbortController();
  const stop = () => controller.abort();
  const { signal } = controller;
  try {
    return await operation(new Act({ deadline, signal, onWait: () => onWait(stop) }, id));
  } finally {
    onWait(null);
  }
}

/** Until when the requests of a click that happens now are repeated. */
export function newDeadline(): number {
  return performance.now() + REPEAT_MS;
}

export function newActId(): string {
  // Browsers have no `randomUUID` on pages that are served over plain http.
  return (crypto as Partial<Crypto>).randomUUID?.() ?? randomHex();
}

function randomHex(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
