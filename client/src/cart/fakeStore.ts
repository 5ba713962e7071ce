import type { CartRoutes, Item, Order } from '../api/cart';
import { ApiError } from '../api/errors';

/** The store's rules in memory, for tests; every route can be made to fail. */
export class FakeStore implements CartRoutes {
  readonly items = new Map<string, Item>();
  readonly users = new Map<string, number>();
  readonly orders = new Map<string, Order & { user: string }>();
  readonly asked: string[] = [];
  /** Routes that lose their next answers: before they do anything, or after. */
  readonly losing: { route: string; when: 'before' | 'after' }[] = [];
  #ids = 0;

  lose(route: keyof CartRoutes, when: 'before' | 'after', times = 1): void {
    for (let n = 0; n < times; n += 1) this.losing.push({ route, when });
  }

  async item(item: string) {
    return this.#answer('item', () => this.items.get(item) ?? null);
  }

  async order(order: string) {
    return this.#answer('order', () => this.orders.get(order) ?? null);
  }

  async credit(user: string) {
    return this.#answer('credit', () => this.users.get(user) ?? null);
  }

  async createUser() {
    return this.#answer('createUser', () => {
      const id = this.#id('user');
      this.users.set(id, 0);
      return id;
    });
  }

  async createOrder(user: string) {
    return this.#answer('createOrder', () => {
      const id = this.#id('order');
      this.orders.set(id, { id, user, paid: false, lines: [], total: 0 });
      return id;
    });
  }

  async addItem(order: string, item: string, quantity: number) {
    return this.#answer('addItem', () => {
      if (!this.items.has(item)) throw new ApiError('missing', item);
      this.#change(order, item, quantity);
    });
  }

  async removeItem(order: string, item: string) {
    return this.#answer('removeItem', () => this.#change(order, item, -1));
  }

  async checkout(id: string) {
    return this.#answer('checkout', () => {
      const order = this.#known(id);
      if (order.paid) return;
      const credit = this.users.get(order.user) ?? 0;
      const short = order.lines.some(({ item, quantity }) => this.#stock(item) < quantity);
      if (short || credit < order.total) throw new ApiError('refused', id);
      this.#pay(order, 1);
    });
  }

  async cancel(user: string, id: string) {
    return this.#answer('cancel', () => {
      const order = this.#known(id);
      if (!order.paid || order.user !== user) throw new ApiError('refused', id);
      this.#pay(order, -1);
    });
  }

  async addFunds(user: string, amount: number) {
    return this.#answer('addFunds', () => {
      this.users.set(user, (this.users.get(user) ?? 0) + amount);
    });
  }

  #pay(order: Order & { user: string }, sign: 1 | -1): void {
    this.users.set(order.user, (this.users.get(order.user) ?? 0) - sign * order.total);
    for (const { item, quantity } of order.lines) {
      const { stock, price } = this.items.get(item) ?? { stock: 0, price: 0 };
      this.items.set(item, { stock: stock - sign * quantity, price });
    }
    this.orders.set(order.id, { ...order, paid: sign === 1 });
  }

  #change(id: string, item: string, by: number): void {
    const order = this.#known(id);
    const before = order.lines.find((line) => line.item === item)?.quantity ?? 0;
    if (order.paid || before + by < 0) throw new ApiError('refused', id);
    const others = order.lines.filter((line) => line.item !== item);
    const lines = before + by === 0 ? others : [...others, { item, quantity: before + by }];
    const total = order.total + by * (this.items.get(item)?.price ?? 0);
    this.orders.set(id, { ...order, lines, total });
  }

  #known(id: string) {
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

  async #answer<T>(route: string, act: () => T): Promise<T> {
    this.asked.push(route);
    const lost = this.losing.findIndex((loss) => loss.route === route);
    const [loss] = lost === -1 ? [] : this.losing.splice(lost, 1);
    if (loss?.when === 'before') throw new ApiError('unreachable', route);
    const answer = act();
    if (loss?.when === 'after') throw new ApiError('unreachable', route);
    return answer;
  }
}
