import { isId } from '../api/cart';

/** The visitor of this browser: the ids that the store's routes need. */
export interface Visitor {
  readonly user: string | null;
  /** The order that is open. */
  readonly order: string | null;
  /** Orders paid in this browser, latest first. */
  readonly paid: readonly PaidOrder[];
  /** Raised by every change, because browsers send storage events only for a different value. */
  readonly revision: number;
}

export interface PaidOrder {
  readonly id: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

export const NO_VISITOR: Visitor = { user: null, order: null, paid: [], revision: 0 };

const KEY = 'storefront.visitor';
const MAX_PAID_ORDERS = 100;

type Listener = (current: Visitor, previous: Visitor, fromOtherTab: boolean) => void;

/**
 * The visitor in local storage, shared by all tabs. When storage is forbidden or full, the visitor
 * is kept in memory and lost with the page.
 */
export class VisitorStore {
  #storage: Storage | null;
  #text: string | null = null;
  #visitor = NO_VISITOR;
  /** The value that listeners have last seen. */
  #notified = NO_VISITOR;
  readonly #listeners = new Set<Listener>();

  /** `storage` may throw, as `window.localStorage` does when the user has blocked it. */
  constructor(storage: () => Storage | null) {
    this.#storage = resultOrUndefined(storage) ?? null;
    this.#notified = this.read();
  }

  /** Whether the visitor outlives this page. */
  get persistent(): boolean {
    return this.#storage !== null;
  }

  /** The same object until it changes, as `useSyncExternalStore` requires. */
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
    const visitor = { ...before, ...change, revision: before.revision + 1 };
    this.#visitor = { ...visitor, paid: visitor.paid.slice(0, MAX_PAID_ORDERS) };
    this.#text = JSON.stringify(this.#visitor);
    try {
      this.#storage?.setItem(KEY, this.#text);
    } catch {
      this.#storage = null;
    }
    this.#notify(false);
  }

  readonly subscribe = (listener: Listener): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Notifies listeners of changes by other tabs, until the returned function is called. */
  watchTabs(window: Window): () => void {
    const changed = ({ key }: StorageEvent) => {
      // The key is null when the whole storage was cleared.
      if (key !== KEY && key !== null) return;
      if (this.read() !== this.#notified) this.#notify(true);
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

  #notify(fromOtherTab: boolean): void {
    const before = this.#notified;
    this.#notified = this.#visitor;
    for (const listener of this.#listeners) listener(this.#visitor, before, fromOtherTab);
  }
}

/** Drops what is malformed, because the value may come from another release or a manual edit. */
function parseVisitor(text: string | null): Visitor {
  const stored = resultOrUndefined(() => JSON.parse(text ?? 'null') as unknown);
  if (typeof stored !== 'object' || stored === null) return NO_VISITOR;
  const { user, order, paid, revision } = stored as Record<string, unknown>;
  if (!isId(user)) return NO_VISITOR;
  return {
    user,
    order: isId(order) ? order : null,
    paid: Array.isArray(paid) ? paid.filter(isPaidOrder) : [],
    revision: typeof revision === 'number' ? revision : 0,
  };
}

function isPaidOrder(value: unknown): value is PaidOrder {
  const { id, at } = (value ?? {}) as Record<string, unknown>;
  return isId(id) && Number.isFinite(at);
}

function resultOrUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}
