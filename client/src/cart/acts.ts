import type { CartRoutes, Line, Order } from '../api/cart';
import { failureKind } from '../api/errors';
import { exclusively } from './exclusively';
import type { VisitorStore } from './visitor';

/** A line of which there is too little. */
export interface Short extends Line {
  /** How many there are. */
  readonly stock: number;
}

/**
 * The store is well and said no:
 * - `obstacles`: the order cannot be paid as it is: there is too little of some lines, or of credit;
 * - `changed`: it is not what the visitor saw, or is no more; they should look again;
 * - `notForSale`: there is no such item.
 */
export class Refusal extends Error {
  readonly reason: 'obstacles' | 'changed' | 'notForSale';
  readonly short: readonly Short[];

  constructor(reason: Refusal['reason'], short: readonly Short[] = []) {
    super(reason);
    this.name = 'Refusal';
    this.reason = reason;
    this.short = short;
  }
}

/** What the visitor should hear of, though they did not ask. */
export type News = 'storeBeganAnew' | 'cartGone' | 'paidAlready';

interface Tools {
  readonly routes: CartRoutes;
  readonly visitors: VisitorStore;
  readonly onNews: (news: News) => void;
  readonly sleep?: (ms: number) => Promise<void>;
}

/** Pauses before a checkout is sent again. */
const PAUSES_MS = [500, 1_000, 2_000];

/**
 * What a visitor does. Each act may be repeated safely: it looks before it writes, and once more
 * when an answer was lost. They run one at a time, over all tabs where the browser can do that.
 */
export class CartActs {
  readonly #routes: CartRoutes;
  readonly #visitors: VisitorStore;
  readonly #onNews: (news: News) => void;
  readonly #sleep: (ms: number) => Promise<void>;

  constructor({ routes, visitors, onNews, sleep }: Tools) {
    this.#routes = routes;
    this.#visitors = visitors;
    this.#onNews = onNews;
    this.#sleep = sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
  }

  /** Puts one more of an item into the order. */
  add(item: string): Promise<Order> {
    return exclusively(async () => {
      const order = await this.#openOrder();
      return this.#bring(order, item, quantityOf(order, item) + 1);
    });
  }

  /** Makes it so many of an item, none takes it off. */
  setQuantity(item: string, quantity: number): Promise<Order> {
    return exclusively(async () => this.#bring(await this.#openOrder(), item, quantity));
  }

  /** Pays for the order, if it is what the visitor saw. One that is paid stays as it is. */
  checkout(seen: Order): Promise<Order> {
    return exclusively(async () => {
      const order = await this.#routes.order(seen.id);
      if (order !== null && !order.paid) {
        if (!isSame(order, seen)) {
          this.#changed();
          throw new Refusal('changed');
        }
        await this.#pay(order);
      } else if (order === null) {
        await this.#current();
        throw new Refusal('changed');
      }
      this.#settle(order.id);
      return { ...order, paid: true };
    });
  }

  /** Takes a paid order back: stock and credit return. */
  cancel(order: string): Promise<void> {
    return exclusively(async () => {
      const { user } = this.#visitors.read();
      if (user === null) throw new Refusal('changed');
      try {
        await this.#routes.cancel(user, order);
      } catch (error) {
        const now = await this.#routes.order(order).catch(() => undefined);
        // The answer was lost, or another tab was faster.
        if (now === undefined || now?.paid) throw error;
      }
      this.#changed();
    });
  }

  /** Gives the visitor credit, as a demo shop does. */
  addFunds(amount: number): Promise<void> {
    return exclusively(async () => {
      const { user, credit } = await this.#knownUser();
      try {
        await this.#routes.addFunds(user, amount);
      } catch (error) {
        const now = await this.#routes.credit(user).catch(() => null);
        if (now === null || now < credit + amount) throw error;
      }
      this.#changed();
    });
  }

  /** For who sees that the store does not know the visitor, or that the order is paid. */
  lookAgain(): Promise<void> {
    return exclusively(async () => {
      await this.#stillKnown();
      await this.#current();
    });
  }

  /** Drops an order of the history that the store does not know. */
  forget(order: string): Promise<void> {
    return exclusively(async () => {
      await this.#stillKnown();
      const { paid } = this.#visitors.read();
      const left = paid.filter(({ id }) => id !== order);
      if (left.length < paid.length) this.#visitors.change({ paid: left });
    });
  }

  /** The present order, if there is one that is open. */
  async #current(): Promise<Order | null> {
    const { order: id } = this.#visitors.read();
    if (id === null) return null;
    const order = await this.#routes.order(id);
    if (order === null) {
      if (await this.#stillKnown()) {
        this.#visitors.change({ order: null });
        this.#onNews('cartGone');
      }
      return null;
    }
    if (!order.paid) return order;
    this.#settle(id);
    this.#onNews('paidAlready');
    return null;
  }

  async #openOrder(): Promise<Order> {
    const order = await this.#current();
    if (order !== null) return order;
    const { user } = await this.#knownUser();
    const id = await this.#routes.createOrder(user);
    this.#visitors.change({ order: id });
    return { id, paid: false, lines: [], total: 0 };
  }

  async #knownUser(): Promise<{ user: string; credit: number }> {
    const known = await this.#stillKnown();
    if (known) return known;
    const user = await this.#routes.createUser();
    this.#visitors.change({ user });
    return { user, credit: 0 };
  }

  /** The visitor's user; one that the store does not know is forgotten with all they did. */
  async #stillKnown(): Promise<{ user: string; credit: number } | null> {
    const { user } = this.#visitors.read();
    if (user === null) return null;
    const credit = await this.#routes.credit(user);
    if (credit !== null) return { user, credit };
    this.#visitors.change({ user: null, order: null, paid: [] });
    this.#onNews('storeBeganAnew');
    return null;
  }

  async #bring(order: Order, item: string, quantity: number): Promise<Order> {
    const difference = quantity - quantityOf(order, item);
    let failed: unknown = null;
    try {
      if (difference > 0) await this.#routes.addItem(order.id, item, difference);
      for (let n = 0; n > difference; n -= 1) await this.#routes.removeItem(order.id, item);
    } catch (error) {
      failed = error;
    }
    const now = await this.#routes.order(order.id).catch((error: unknown) => {
      throw failed ?? error;
    });
    this.#changed();
    if (now !== null && quantityOf(now, item) === quantity) return now;
    if (failed === null || now === null || now.paid) throw new Refusal('changed');
    throw failureKind(failed) === 'missing' ? new Refusal('notForSale') : failed;
  }

  /** Sends the checkout until it is answered: the store charges an order once. */
  async #pay(order: Order): Promise<void> {
    try {
      for (const pause of PAUSES_MS) {
        const done = await this.#tryToPay(order.id);
        if (done) return;
        await this.#sleep(pause);
      }
      await this.#routes.checkout(order.id);
    } catch (error) {
      const kind = failureKind(error);
      throw kind === 'refused' || kind === 'missing' ? await this.#refusal(order) : error;
    }
  }

  /** Whether there was an answer. */
  async #tryToPay(order: string): Promise<boolean> {
    try {
      await this.#routes.checkout(order);
      return true;
    } catch (error) {
      if (failureKind(error) === 'unreachable') return false;
      throw error;
    }
  }

  /** Why a checkout was refused; the store's present numbers say it better than its sentence. */
  async #refusal(order: Order): Promise<Refusal> {
    this.#changed();
    const [user, short] = [await this.#stillKnown(), await this.#short(order.lines)];
    const tooPoor = user !== null && user.credit < order.total;
    return tooPoor || short.length > 0 ? new Refusal('obstacles', short) : new Refusal('changed');
  }

  async #short(lines: readonly Line[]): Promise<Short[]> {
    const stocked = lines.map(async (line) => {
      const item = await this.#routes.item(line.item);
      return { ...line, stock: item?.stock ?? 0 };
    });
    return (await Promise.all(stocked)).filter(({ stock, quantity }) => stock < quantity);
  }

  #settle(order: string): void {
    const { order: current, paid } = this.#visitors.read();
    const known = paid.some(({ id }) => id === order);
    this.#visitors.change({
      order: current === order ? null : current,
      paid: known ? paid : [{ id: order, at: Date.now() }, ...paid],
    });
  }

  #changed(): void {
    this.#visitors.change({});
  }
}

export function quantityOf(order: Order, item: string): number {
  return order.lines.find((line) => line.item === item)?.quantity ?? 0;
}

function isSame(one: Order, other: Order): boolean {
  return (
    one.id === other.id &&
    one.total === other.total &&
    one.lines.length === other.lines.length &&
    one.lines.every((line) => quantityOf(other, line.item) === line.quantity)
  );
}
