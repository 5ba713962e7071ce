import { Act, newDeadline, performAct } from '../api/act';
import type { CartApi, Line, Order } from '../api/cart';
import { errorKind } from '../api/errors';
import type { VisitorStore } from './visitor';
import { withLock } from './withLock';

/** A line whose quantity exceeds the stock. */
export interface Shortage extends Line {
  readonly stock: number;
}

/**
 * The store works but the operation was refused:
 * - `insufficient`: not enough stock for some lines, or not enough credit;
 * - `changed`: the order differs from the one displayed, or no longer exists;
 * - `notForSale`: there is no such item.
 */
export class Refusal extends Error {
  readonly reason: 'insufficient' | 'changed' | 'notForSale';
  readonly shortages: readonly Shortage[];

  constructor(reason: Refusal['reason'], shortages: readonly Shortage[] = []) {
    super(reason);
    this.name = 'Refusal';
    this.reason = reason;
    this.shortages = shortages;
  }
}

/** What an operation found out besides its result, to be shown to the visitor. */
export type CartEvent = 'storeReset' | 'cartLost' | 'alreadyPaid';

interface Options {
  readonly api: CartApi;
  readonly visitors: VisitorStore;
  readonly onEvent: (event: CartEvent) => void;
  /**
   * Called with a function that stops the repeats when an operation begins to wait for a store that
   * cannot be reached, and with null when that operation ends.
   */
  readonly onWait: (stop: (() => void) | null) => void;
}

/**
 * The operations of the cart, one at a time. Each reads the state before it writes. While the store
 * cannot be reached, requests are repeated; a write keeps its idempotency key and takes effect once.
 */
export class CartOperations {
  readonly #api: CartApi;
  readonly #visitors: VisitorStore;
  readonly #onEvent: (event: CartEvent) => void;
  readonly #onWait: Options['onWait'];

  constructor({ api, visitors, onEvent, onWait }: Options) {
    this.#api = api;
    this.#visitors = visitors;
    this.#onEvent = onEvent;
    this.#onWait = onWait;
  }

  /** Adds one copy of an item to the order. */
  add(item: string): Promise<void> {
    return this.#perform(async (act) => {
      const order = await this.#ensureOpenOrder(act);
      await this.#changeQuantity(act, order, item, 1);
    });
  }

  /** Sets the quantity of an item; 0 removes it. */
  setQuantity(item: string, quantity: number): Promise<void> {
    return this.#perform(async (act) => {
      const order = await this.#ensureOpenOrder(act);
      await this.#changeQuantity(act, order, item, quantity - quantityOf(order, item));
    });
  }

  /** Pays for the order, unless it differs from the one displayed. A paid order is left as it is. */
  checkout(displayed: Order): Promise<Order> {
    return this.#perform(async (act) => {
      const order = await act.read((signal) => this.#api.order(displayed.id, signal));
      if (order === null) {
        await this.#currentOrder(act);
        throw new Refusal('changed');
      }
      if (!order.paid) await this.#pay(act, order, displayed);
      this.#recordPaid(order.id);
      return { ...order, paid: true };
    });
  }

  /** Cancels a paid order, which returns its stock and credit. */
  cancel(order: string): Promise<void> {
    return this.#perform(async (act) => {
      const { user } = this.#visitors.read();
      if (user === null) throw new Refusal('changed');
      try {
        await act.write((options) => this.#api.cancel(user, order, options));
      } catch (error) {
        if (errorKind(error) !== 'refused') throw error;
        // It is refused if it is not paid any more, because another tab has cancelled it.
        const now = await act.read((signal) => this.#api.order(order, signal));
        if (now?.paid) throw error;
      } finally {
        this.#notifyChange();
      }
    });
  }

  /** Adds credit without payment: this is a demo store. */
  addFunds(amount: number): Promise<void> {
    return this.#perform(async (act) => {
      const { user } = await this.#ensureUser(act);
      try {
        await act.write((options) => this.#api.addFunds(user, amount, options));
      } finally {
        this.#notifyChange();
      }
    });
  }

  /** Updates the visitor after the store has lost the user or the order, or the order was paid. */
  reconcile(): Promise<void> {
    return withLock(async () => {
      const act = newBackgroundAct();
      await this.#existingUser(act);
      await this.#currentOrder(act);
    });
  }

  /** Removes an order that the store no longer has from the history. */
  removeFromHistory(order: string): Promise<void> {
    return withLock(async () => {
      await this.#existingUser(newBackgroundAct());
      const { paid } = this.#visitors.read();
      const remaining = paid.filter(({ id }) => id !== order);
      if (remaining.length < paid.length) this.#visitors.change({ paid: remaining });
    });
  }

  /** Runs what a click asks for; the time for repeats begins with the click, not with the lock. */
  #perform<T>(operation: (act: Act) => Promise<T>): Promise<T> {
    const deadline = newDeadline();
    return withLock(() => performAct(operation, this.#onWait, { deadline }));
  }

  /** The current order if it is open; else updates the visitor and reports why it is not. */
  async #currentOrder(act: Act): Promise<Order | null> {
    const { order: id } = this.#visitors.read();
    if (id === null) return null;
    const order = await act.read((signal) => this.#api.order(id, signal));
    if (order === null) {
      if (await this.#existingUser(act)) {
        this.#visitors.change({ order: null });
        this.#onEvent('cartLost');
      }
      return null;
    }
    if (!order.paid) return order;
    this.#recordPaid(id);
    this.#onEvent('alreadyPaid');
    return null;
  }

  async #ensureOpenOrder(act: Act): Promise<Order> {
    const order = await this.#currentOrder(act);
    if (order !== null) return order;
    const { user } = await this.#ensureUser(act);
    const id = await act.write((options) => this.#api.createOrder(user, options));
    this.#visitors.change({ order: id });
    return { id, paid: false, lines: [], total: 0 };
  }

  async #ensureUser(act: Act): Promise<{ user: string; credit: number }> {
    const existing = await this.#existingUser(act);
    if (existing) return existing;
    const user = await act.write((options) => this.#api.createUser(options));
    this.#visitors.change({ user });
    return { user, credit: 0 };
  }

  /** The visitor's user. If the store no longer has it, the store was reset: clears the visitor. */
  async #existingUser(act: Act): Promise<{ user: string; credit: number } | null> {
    const { user } = this.#visitors.read();
    if (user === null) return null;
    const credit = await act.read((signal) => this.#api.credit(user, signal));
    if (credit !== null) return { user, credit };
    this.#visitors.change({ user: null, order: null, paid: [] });
    this.#onEvent('storeReset');
    return null;
  }

  async #changeQuantity(act: Act, { id }: Order, item: string, change: number): Promise<void> {
    try {
      if (change > 0) await act.write((options) => this.#api.addItem(id, item, change, options));
      for (let n = 0; n > change; n -= 1)
        await act.write((options) => this.#api.removeItem(id, item, options));
    } catch (error) {
      throw await this.#explain(error, act, id);
    } finally {
      this.#notifyChange();
    }
  }

  /** Why a line could not be changed: the order is gone or paid, the item is gone, or else the error. */
  async #explain(error: unknown, act: Act, id: string): Promise<unknown> {
    const kind = errorKind(error);
    if (kind !== 'refused' && kind !== 'missing') return error;
    const order = await act.read((signal) => this.#api.order(id, signal));
    if (order === null || order.paid) return new Refusal('changed');
    return kind === 'missing' ? new Refusal('notForSale') : error;
  }

  async #pay(act: Act, order: Order, displayed: Order): Promise<void> {
    if (!isSameOrder(order, displayed)) {
      this.#notifyChange();
      throw new Refusal('changed');
    }
    try {
      await act.write((options) => this.#api.checkout(order.id, options));
    } catch (error) {
      const kind = errorKind(error);
      throw kind === 'refused' || kind === 'missing' ? await this.#refusal(act, order) : error;
    }
  }

  /** Why a checkout was refused, worked out from current stock and credit to give exact numbers. */
  async #refusal(act: Act, order: Order): Promise<Refusal> {
    this.#notifyChange();
    const user = await this.#existingUser(act);
    const shortages = await this.#findShortages(act, order.lines);
    const lacksCredit = user !== null && user.credit < order.total;
    return lacksCredit || shortages.length > 0
      ? new Refusal('insufficient', shortages)
      : new Refusal('changed');
  }

  async #findShortages(act: Act, lines: readonly Line[]): Promise<Shortage[]> {
    const stocks = lines.map(async (line) => {
      const item = await act.read((signal) => this.#api.item(line.item, signal));
      return { ...line, stock: item?.stock ?? 0 };
    });
    return (await Promise.all(stocks)).filter(({ stock, quantity }) => stock < quantity);
  }

  #recordPaid(order: string): void {
    const { order: current, paid } = this.#visitors.read();
    const recorded = paid.some(({ id }) => id === order);
    this.#visitors.change({
      order: current === order ? null : current,
      paid: recorded ? paid : [{ id: order, at: Date.now() }, ...paid],
    });
  }

  /** Makes this and other tabs refetch: a change of nothing still raises the revision. */
  #notifyChange(): void {
    this.#visitors.change({});
  }
}

/** For what no visitor waits for: its requests are sent once, so that it does not block an act. */
function newBackgroundAct(): Act {
  return new Act({ deadline: 0, signal: new AbortController().signal, onWait: () => {} });
}

export function quantityOf(order: Order, item: string): number {
  return order.lines.find((line) => line.item === item)?.quantity ?? 0;
}

function isSameOrder(one: Order, other: Order): boolean {
  return (
    one.id === other.id &&
    one.total === other.total &&
    one.lines.length === other.lines.length &&
    one.lines.every((line) => quantityOf(other, line.item) === line.quantity)
  );
}
