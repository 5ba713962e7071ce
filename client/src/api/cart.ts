import { errorKind } from './errors';
import { asArray, asBoolean, asFields, asInteger, asText, malformed } from './guards';
import { apiUrl, getJson, send, type WriteOptions } from './request';

export interface Item {
  readonly stock: number;
  /** In credits, per copy. */
  readonly price: number;
}

export interface Line {
  readonly item: string;
  readonly quantity: number;
}

export interface Order {
  readonly id: string;
  readonly paid: boolean;
  readonly lines: readonly Line[];
  /** In credits; each line at the price of the moment it was added. */
  readonly total: number;
}

/** The store's order, stock and payment routes below one base URL; each call is one request. */
export interface CartApi {
  /** Null: not for sale. */
  item(item: string, signal?: AbortSignal): Promise<Item | null>;
  /** Null: no such order. */
  order(order: string, signal?: AbortSignal): Promise<Order | null>;
  /** Null: no such user. */
  credit(user: string, signal?: AbortSignal): Promise<number | null>;
  createUser(options: WriteOptions): Promise<string>;
  createOrder(user: string, options: WriteOptions): Promise<string>;
  addItem(order: string, item: string, quantity: number, options: WriteOptions): Promise<void>;
  /** Removes one copy. */
  removeItem(order: string, item: string, options: WriteOptions): Promise<void>;
  /** An order is charged once, also under several keys. */
  checkout(order: string, options: WriteOptions): Promise<void>;
  cancel(user: string, order: string, options: WriteOptions): Promise<void>;
  addFunds(user: string, amount: number, options: WriteOptions): Promise<void>;
}

/** A game is sold as the item whose id is the game's number. */
export function itemOfGame(id: number): string {
  return String(id);
}

export function createCartApi(base: string): CartApi {
  const url = (...path: (string | number)[]) =>
    apiUrl(base, path.map((part) => `/${encodeURIComponent(part)}`).join(''));
  const find = (signal: AbortSignal | undefined, ...path: string[]) =>
    getJson(url(...path), signal ?? new AbortController().signal);
  const post = (options: WriteOptions, ...path: (string | number)[]) =>
    send('POST', url(...path), options);
  return {
    item: (item, signal) =>
      nullIfMissing(async () => parseItem(await find(signal, 'stock', 'find', item))),
    order: (order, signal) =>
      nullIfMissing(async () => parseOrder(await find(signal, 'orders', 'find', order))),
    credit: (user, signal) =>
      nullIfMissing(async () => {
        const fields = asFields(await find(signal, 'payment', 'find_user', user), 'user');
        return asAmount(fields.credit, 'credit');
      }),
    createUser: async (options) =>
      parseId((await post(options, 'payment', 'create_user'))(), 'user_id'),
    createOrder: async (user, options) =>
      parseId((await post(options, 'orders', 'create', user))(), 'order_id'),
    addItem: async (order, item, quantity, options) =>
      void (await post(options, 'orders', 'addItem', order, item, quantity)),
    removeItem: async (order, item, options) =>
      void (await send('DELETE', url('orders', 'removeItem', order, item), options)),
    checkout: async (order, options) => void (await post(options, 'orders', 'checkout', order)),
    cancel: async (user, order, options) =>
      void (await post(options, 'payment', 'cancel', user, order)),
    addFunds: async (user, amount, options) =>
      void (await post(options, 'payment', 'add_funds', user, amount)),
  };
}

/** Null for what does not exist, and for what cannot exist because the id is malformed (400). */
async function nullIfMissing<T>(request: () => Promise<T>): Promise<T | null> {
  try {
    return await request();
  } catch (error) {
    const kind = errorKind(error);
    if (kind === 'missing' || kind === 'refused') return null;
    throw error;
  }
}

function parseItem(response: unknown): Item {
  const fields = asFields(response, 'item');
  return { stock: asAmount(fields.stock, 'stock'), price: asAmount(fields.price, 'price') };
}

function parseOrder(response: unknown): Order {
  const fields = asFields(response, 'order');
  return {
    id: asText(fields.order_id, 'order_id'),
    paid: asBoolean(fields.paid, 'paid'),
    lines: asArray(fields.items, 'items').map((pair) => {
      const [item, quantity] = asArray(pair, 'line');
      return { item: asText(item, 'item'), quantity: asAmount(quantity, 'quantity') };
    }),
    total: asAmount(fields.total_cost, 'total_cost'),
  };
}

function parseId(response: unknown, name: string): string {
  const id = asText(asFields(response, name)[name], name);
  if (!isId(id)) throw malformed(name);
  return id;
}

/** Whether the store accepts it as an id; anything else must not become part of a URL. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9_-]{1,64}$/.test(value);
}

function asAmount(value: unknown, what: string): number {
  const amount = asInteger(value, what);
  if (amount < 0) throw malformed(what);
  return amount;
}
