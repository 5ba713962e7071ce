import { isId } from '../api/cart';

/** Who is shopping in this browser, as far as the store's routes need to know. */
export interface Visitor {
  readonly user: string | null;
  /** The order that is being filled. */
  readonly order: string | null;
  /** Orders that were paid here, latest first. */
  readonly paid: readonly PaidOrder[];
  /** Moves on with everything this browser does, so that its other tabs look again. */
  readonly turn: number;
}

export interface PaidOrder {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export const NOBODY: Visitor = { user: null, order: null, paid: [], turn: 0 };

const KEY = 'storefront.visitor';
const REMEMBERED = 100;

type Listener = (now: Visitor, before: Visitor, elsewhere: boolean) => void;

/**
 * The visitor, kept by the browser and shared by its tabs. Where the browser keeps nothing, or no
 * more, the visitor lasts as long as the page.
 */
export class VisitorStore {
  #storage: Storage | null;
  #text: string | null = null;
  #visitor = NOBODY;
  /** What the listeners know. */
  #told = NOBODY;
  readonly #listeners = new Set<Listener>();

  /** `storage` may throw, as `window.localStorage` does where a user forbids it. */
  constructor(storage: () => Storage | null) {
    this.#storage = attempt(storage) ?? null;
    this.#told = this.read();
  }

  /** Whether the browser keeps it beyond this page. */
  get lasts(): boolean {
    return this.#storage !== null;
  }

  /** The same object as long as nothing has changed. */
  readonly read = (): Visitor => {
    const text = this.#load();
    if (text !== this.#text) {
      this.#text = text;
      this.#visitor = parseVisitor(text);
    }
    return this.#visitor;
  };

  change(change: Partial<Visitor>): void {
    const before = this.read();
    const visitor = { ...before, ...change, turn: before.turn + 1 };
    this.#visitor = { ...visitor, paid: visitor.paid.slice(0, REMEMBERED) };
    this.#text = JSON.stringify(this.#visitor);
    try {
      this.#storage?.setItem(KEY, this.#text);
    } catch {
      this.#storage = null;
    }
    this.#tell(false);
  }

  readonly subscribe = (listener: Listener): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Tells the listeners of this tab what the others do; returns how to stop. */
  watchTabs(window: Window): () => void {
    const changed = ({ key }: StorageEvent) => {
      if (key !== KEY && key !== null) return;
      if (this.read() !== this.#told) this.#tell(true);
    };
    window.addEventListener('storage', changed);
    return () => window.removeEventListener('storage', changed);
  }

  #load(): string | null {
    if (this.#storage === null) return this.#text;
    try {
      return this.#storage.getItem(KEY);
    } catch {
      this.#storage = null;
      return this.#text;
    }
  }

  #tell(elsewhere: boolean): void {
    const before = this.#told;
    this.#told = this.#visitor;
    for (const listener of this.#listeners) listener(this.#visitor, before, elsewhere);
  }
}

/** Whatever was kept, by this release or by somebody's hand. */
function parseVisitor(text: string | null): Visitor {
  const kept = attempt(() => JSON.parse(text ?? 'null') as unknown);
  if (typeof kept !== 'object' || kept === null) return NOBODY;
  const { user, order, paid, turn } = kept as Record<string, unknown>;
  if (!isId(user)) return NOBODY;
  return {
    user,
    order: isId(order) ? order : null,
    paid: Array.isArray(paid) ? paid.filter(isPaidOrder) : [],
    turn: typeof turn === 'number' ? turn : 0,
  };
}

function isPaidOrder(value: unknown): value is PaidOrder {
  const { id, at } = (value ?? {}) as Record<string, unknown>;
  return isId(id) && Number.isFinite(at);
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act();
  } catch {
    return undefined;
  }
}
