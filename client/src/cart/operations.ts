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
  readonly sleep?: (ms: number) => Promise<void>;
}

/** Backoff between attempts to check out. */
const RETRY_DELAYS_MS = [500, 1_000, 2_000];

/**
 * The operations of the cart, one at a time. Each reads the state before it writes, and again after a
 * lost response, because the write may have taken effect.
 */
export class CartOperations {
  readonly #api: CartApi;
  readonly #visitors: VisitorStore;
  readonly #onEvent: (event: CartEvent) => void;
  readonly #sleep: (ms: number) => Promise<void>;

  constructor({ api, visitors, onEvent, sleep }: Options) {
    this.#api = api;
    this.#visitors = visitors;
    this.#onEvent = onEvent;
    this.#sleep = sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
  }

  /** Adds one copy of an item to the order. */
  add(item: string): Promise<Order> {
    return withLock(async () => {
      const order = await this.#ensureOpenOrder();
      return this.#reachQuantity(order, item, quantityOf(order, item) + 1);
    });
  }

  /** Sets the quantity of an item; 0 removes it. */
  setQuantity(item: string, quantity: number): Promise<Order> {
    return withLock(async () => this.#reachQuantity(await this.#ensureOpenOrder(), item, quantity));
  }

  /** Pays for the order, unless it differs from the one displayed. A paid order is left as it is. */
  checkout(displayed: Order): Promise<Order> {
    return withLock(async () => {
      const order = await this.#api.order(displayed.id);
      if (order !== null && !order.paid) {
        if (!isSameOrder(order, displayed)) {
          this.#notifyChange();
          throw new Refusal('changed');
        }
        await this.#checkoutWithRetry(order);
      } else if (order === null) {
        await this.#currentOrder();
        throw new Refusal('changed');
      }
      this.#recordPaid(order.id);
      return { ...order, paid: true };
    });
  }

  /** Cancels a paid order, which returns its stock and credit. */
  cancel(order: string): Promise<void> {
    return withLock(async () => {
      const { user } = this.#visitors.read();
      if (user === null) throw new Refusal('changed');
      try {
        await this.#api.cancel(user, order);
      } catch (error) {
        const now = await this.#api.order(order).catch(() => undefined);
        // An order that is not paid any more was cancelled: the response was lost, or another tab did it.
        if (now === undefined || now?.paid) throw error;
      }
      this.#notifyChange();
    });
  }

  /** Adds credit without payment: this is a demo store. */
  addFunds(amount: number): Promise<void> {
    return withLock(async () => {
      const { user, credit } = await this.#ensureUser();
      try {
        await this.#api.addFunds(user, amount);
      } catch (error) {
        // If the credit has grown by the amount, only the response was lost.
        const now = await this.#api.credit(user).catch(() => null);
        if (now === null || now < credit + amount) throw error;
      }
      this.#notifyChange();
    });
  }

  /** Updates the visitor after the store has lost the user or the order, or the order was paid. */
  reconcile(): Promise<void> {
    return withLock(async () => {
      await this.#existingUser();
      await this.#currentOrder();
    });
  }

  /** Removes an order that the store no longer has from the history. */
  removeFromHistory(order: string): Promise<void> {
    return withLock(async () => {
      await this.#existingUser();
      const { paid } = this.#visitors.read();
      const remaining = paid.filter(({ id }) => id !== order);
      if (remaining.length < paid.length) this.#visitors.change({ paid: remaining });
    });
  }

  /** The current order if it is open; else updates the visitor and reports why it is not. */
  async #currentOrder(): Promise<Order | null> {
    const { order: id } = this.#visitors.read();
    if (id === null) return null;
    const order = await this.#api.order(id);
    if (order === null) {
      if (await this.#existingUser()) {
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

  async #ensureOpenOrder(): Promise<Order> {
    const order = await this.#currentOrder();
    if (order !== null) return order;
    const { user } = await this.#ensureUser();
    const id = await this.#api.createOrder(user);
    this.#visitors.change({ order: id });
    return { id, paid: false, lines: [], total: 0 };
  }

  async #ensureUser(): Promise<{ user: string; credit: number }> {
    const existing = await this.#existingUser();
    if (existing) return existing;
    const user = await this.#api.createUser();
    this.#visitors.change({ user });
    return { user, credit: 0 };
  }

  /** The visitor's user. If the store no longer has it, the store was reset: clears the visitor. */
  async #existingUser(): Promise<{ user: string; credit: number } | null> {
    const { user } = this.#visitors.read();
    if (user === null) return null;
    const credit = await this.#api.credit(user);
    if (credit !== null) return { user, credit };
    this.#visitors.change({ user: null, order: null, paid: [] });
    this.#onEvent('storeReset');
    return null;
  }

  /** Changes the quantity to the target, then reads the order, which shows what really happened. */
  async #reachQuantity(order: Order, item: string, quantity: number): Promise<Order> {
    const change = quantity - quantityOf(order, item);
    let failure: unknown = null;
    try {
      if (change > 0) await this.#api.addItem(order.id, item, change);
      for (let n = 0; n > change; n -= 1) await this.#api.removeItem(order.id, item);
    } catch (error) {
      failure = error;
    }
    const now = await this.#api.order(order.id).catch((error: unknown) => {
      throw failure ?? error;
    });
    this.#notifyChange();
    if (now !== null && quantityOf(now, item) === quantity) return now;
    if (failure === null || now === null || now.paid) throw new Refusal('changed');
    throw errorKind(failure) === 'missing' ? new Refusal('notForSale') : failure;
  }

  /** Retries after a lost response, which is safe because the store charges an order only once. */
  async #checkoutWithRetry(order: Order): Promise<void> {
    try {
      for (const delay of RETRY_DELAYS_MS) {
        const done = await this.#tryCheckout(order.id);
        if (done) return;
        await this.#sleep(delay);
      }
      await this.#api.checkout(order.id);
    } catch (error) {
      const kind = errorKind(error);
      throw kind === 'refused' || kind === 'missing' ? await this.#refusal(order) : error;
    }
  }

  /** False when the outcome is unknown. */
  async #tryCheckout(order: string): Promise<boolean> {
    try {
      await this.#api.checkout(order);
      return true;
    } catch (error) {
      if (errorKind(error) === 'unreachable') return false;
      throw error;
    }
  }

  /** Why a checkout was refused, worked out from current stock and credit to give exact numbers. */
  async #refusal(order: Order): Promise<Refusal> {
    this.#notifyChange();
    const [user, shortages] = [await this.#existingUser(), await this.#findShortages(order.lines)];
    const lacksCredit = user !== null && user.credit < order.total;
    return lacksCredit || shortages.length > 0
      ? new Refusal('insufficient', shortages)
      : new Refusal('changed');
  }

  async #findShortages(lines: readonly Line[]): Promise<Shortage[]> {
    const stocks = lines.map(async (line) => {
      const item = await this.#api.item(line.item);
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
