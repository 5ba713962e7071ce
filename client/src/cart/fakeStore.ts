import type { CartApi, Item, Order } from '../api/cart';
import { ApiError } from '../api/errors';
import type { WriteOptions } from '../api/request';

interface Failure {
  readonly route: string;
  readonly when: 'before' | 'after';
  readonly retryAfterMs: number;
}

/** For tests: the store's rules in memory, those of idempotency keys too; each route can be made to fail. */
export class FakeStore implements CartApi {
  readonly items = new Map<string, Item>();
  readonly users = new Map<string, number>();
  readonly orders = new Map<string, Order & { user: string }>();
  readonly calls: string[] = [];
  /** Calls to fail: before they take effect, or after, as if the response was lost. */
  readonly failures: Failure[] = [];
  /** Every write that was sent, repeats included. */
  readonly #writes: { route: string; key: string }[] = [];
  readonly #outcomes = new Map<string, { fingerprint: string; result: unknown }>();
  #ids = 0;

  failNext(route: keyof CartApi, when: 'before' | 'after', times = 1, retryAfterMs = 0): void {
    for (let n = 0; n < times; n += 1) this.failures.push({ route, when, retryAfterMs });
  }

  /** The keys of a route's writes, repeats included. */
  keysOf(route: string): string[] {
    return this.#writes.filter((write) => write.route === route).map(({ key }) => key);
  }

  async item(item: string) {
    return this.#respond('item', () => this.items.get(item) ?? null);
  }

  async order(order: string) {
    return this.#respond('order', () => this.orders.get(order) ?? null);
  }

  async credit(user: string) {
    return this.#respond('credit', () => this.users.get(user) ?? null);
  }

  async createUser({ key }: WriteOptions) {
    return this.#write(key, ['createUser'], () => {
      const id = this.#id('user');
      this.users.set(id, 0);
      return id;
    });
  }

  async createOrder(user: string, { key }: WriteOptions) {
    return this.#write(key, ['createOrder', user], () => {
      const id = this.#id('order');
      this.orders.set(id, { id, user, paid: false, lines: [], total: 0 });
      return id;
    });
  }

  async addItem(order: string, item: string, quantity: number, { key }: WriteOptions) {
    return this.#write(key, ['addItem', order, item, quantity], () => {
      if (!this.items.has(item)) throw new ApiError('missing', item);
      this.#changeQuantity(order, item, quantity);
    });
  }

  async removeItem(order: string, item: string, { key }: WriteOptions) {
    return this.#write(key, ['removeItem', order, item], () =>
      this.#changeQuantity(order, item, -1),
    );
  }

  async checkout(id: string, { key }: WriteOptions) {
    return this.#write(key, ['checkout', id], () => {
      const order = this.#orderOrThrow(id);
      if (order.paid) return;
      const credit = this.users.get(order.user) ?? 0;
      const outOfStock = order.lines.some(({ item, quantity }) => this.#stock(item) < quantity);
      if (outOfStock || credit < order.total) throw new ApiError('refused', id);
      this.#movePayment(order, 1);
    });
  }

  async cancel(user: string, id: string, { key }: WriteOptions) {
    return this.#write(key, ['cancel', user, id], () => {
      const order = this.#orderOrThrow(id);
      if (!order.paid || order.user !== user) throw new ApiError('refused', id);
      this.#movePayment(order, -1);
    });
  }

  async addFunds(user: string, amount: number, { key }: WriteOptions) {
    return this.#write(key, ['addFunds', user, amount], () => {
      this.users.set(user, (this.users.get(user) ?? 0) + amount);
    });
  }

  #movePayment(order: Order & { user: string }, sign: 1 | -1): void {
    this.users.set(order.user, (this.users.get(order.user) ?? 0) - sign * order.total);
    for (const { item, quantity } of order.lines) {
      const { stock, price } = this.items.get(item) ?? { stock: 0, price: 0 };
      this.items.set(item, { stock: stock - sign * quantity, price });
    }
    this.orders.set(order.id, { ...order, paid: sign === 1 });
  }

  #changeQuantity(id: string, item: string, by: number): void {
    const order = this.#orderOrThrow(id);
    const before = order.lines.find((line) => line.item === item)?.quantity ?? 0;
    if (order.paid || before + by < 0) throw new ApiError('refused', id);
    const others = order.lines.filter((line) => line.item !== item);
    const lines = before + by === 0 ? others : [...others, { item, quantity: before + by }];
    const total = order.total + by * (this.items.get(item)?.price ?? 0);
    this.orders.set(id, { ...order, lines, total });
  }

  #orderOrThrow(id: string) {
    const order = this.orders.get(id);
    if (order === undefined) throw new ApiError('missing', id);
    return order;
  }

  #stock(item: string): number {
    return this.items.get(item)?.stock ?? 0;
  }

  #id(kind: string): string {
    this.#ids += 1;
    return `${kind}-${this.#ids}`;
  }

  /** The first outcome again for a known key, unless it belongs to another write; refusals are not kept. */
  async #write<T>(key: string, [route, ...path]: [string, ...unknown[]], operation: () => T) {
    this.#writes.push({ route, key });
    return this.#respond(route, () => {
      const fingerprint = JSON.stringify([route, ...path]);
      const known = this.#outcomes.get(key);
      if (known && known.fingerprint !== fingerprint) throw new ApiError('refused', `${key}: 422`);
      if (known) return known.result as T;
      const result = operation();
      this.#outcomes.set(key, { fingerprint, result });
      return result;
    });
  }

  async #respond<T>(route: string, operation: () => T): Promise<T> {
    this.calls.push(route);
    const index = this.failures.findIndex((failure) => failure.route === route);
    const [failure] = index === -1 ? [] : this.failures.splice(index, 1);
    if (failure?.when === 'before') throw unreachable(failure);
    const result = operation();
    if (failure?.when === 'after') throw unreachable(failure);
    return result;
  }
}

function unreachable({ route, retryAfterMs }: Failure): ApiError {
  return new ApiError('unreachable', route, { retryAfterMs });
}
