import type { CartApi, Line, Order } from '../api/cart';
import { errorKind } from '../api/errors';
import type { VisitorStore } from './visitor';
import { withLock } from './withLock';

/** A line of which there is too little. */
export interface Shortage extends Line {
  /** How many there are. */
  readonly stock: number;
}

/**
 * The store is well and said no:
 * - `insufficient`: the order cannot be paid as it is: there is too little of some lines, or of credit;
 * - `changed`: it is not what the visitor saw, or is no more; they should look again;
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

/** What the visitor should hear of, though they did not ask. */
export type CartEvent = 'storeReset' | 'cartLost' | 'alreadyPaid';

interface Options {
  readonly api: CartApi;
  readonly visitors: VisitorStore;
  readonly onEvent: (event: CartEvent) => void;
  readonly sleep?: (ms: number) => Promise<void>;
}

/** Pauses before a checkout is sent again. */
const RETRY_DELAYS_MS = [500, 1_000, 2_000];

/**
 * What a visitor does. Each act may be repeated safely: it looks before it writes, and once more
 * when an answer was lost. They run one at a time, over all tabs where the browser can do that.
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

  /** Puts one more of an item into the order. */
  add(item: string): Promise<Order> {
    return withLock(async () => {
      const order = await this.#ensureOpenOrder();
      return this.#reachQuantity(order, item, quantityOf(order, item) + 1);
    });
  }

  /** Makes it so many of an item, none takes it off. */
  setQuantity(item: string, quantity: number): Promise<Order> {
    return withLock(async () => this.#reachQuantity(await this.#ensureOpenOrder(), item, quantity));
  }

  /** Pays for the order, if it is what the visitor saw. One that is paid stays as it is. */
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

  /** Takes a paid order back: stock and credit return. */
  cancel(order: string): Promise<void> {
    return withLock(async () => {
      const { user } = this.#visitors.read();
      if (user === null) throw new Refusal('changed');
      try {
        await this.#api.cancel(user, order);
      } catch (error) {
        const now = await this.#api.order(order).catch(() => undefined);
        // The answer was lost, or another tab was faster.
        if (now === undefined || now?.paid) throw error;
      }
      this.#notifyChange();
    });
  }

  /** Gives the visitor credit, as a demo shop does. */
  addFunds(amount: number): Promise<void> {
    return withLock(async () => {
      const { user, credit } = await this.#ensureUser();
      try {
        await this.#api.addFunds(user, amount);
      } catch (error) {
        const now = await this.#api.credit(user).catch(() => null);
        if (now === null || now < credit + amount) throw error;
      }
      this.#notifyChange();
    });
  }

  /** For who sees that the store does not know the visitor, or that the order is paid. */
  reconcile(): Promise<void> {
    return withLock(async () => {
      await this.#existingUser();
      await this.#currentOrder();
    });
  }

  /** Drops an order of the history that the store does not know. */
  removeFromHistory(order: string): Promise<void> {
    return withLock(async () => {
      await this.#existingUser();
      const { paid } = this.#visitors.read();
      const left = paid.filter(({ id }) => id !== order);
      if (left.length < paid.length) this.#visitors.change({ paid: left });
    });
  }

  /** The present order, if there is one that is open. */
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
    const known = await this.#existingUser();
    if (known) return known;
    const user = await this.#api.createUser();
    this.#visitors.change({ user });
    return { user, credit: 0 };
  }

  /** The visitor's user; one that the store does not know is forgotten with all they did. */
  async #existingUser(): Promise<{ user: string; credit: number } | null> {
    const { user } = this.#visitors.read();
    if (user === null) return null;
    const credit = await this.#api.credit(user);
    if (credit !== null) return { user, credit };
    this.#visitors.change({ user: null, order: null, paid: [] });
    this.#onEvent('storeReset');
    return null;
  }

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

  /** Sends the checkout until it is answered: the store charges an order once. */
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

  /** Whether there was an answer. */
  async #tryCheckout(order: string): Promise<boolean> {
    try {
      await this.#api.checkout(order);
      return true;
    } catch (error) {
      if (errorKind(error) === 'unreachable') return false;
      throw error;
    }
  }

  /** Why a checkout was refused; the store's present numbers say it better than its sentence. */
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
    const known = paid.some(({ id }) => id === order);
    this.#visitors.change({
      order: current === order ? null : current,
      paid: known ? paid : [{ id: order, at: Date.now() }, ...paid],
    });
  }

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
