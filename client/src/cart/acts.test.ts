import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { Order } from '../api/cart';
import { ApiError } from '../api/errors';
import { CartActs, type News, quantityOf, Refusal } from './acts';
import { FakeStore } from './fakeStore';
import { VisitorStore } from './visitor';

let store: FakeStore;
let visitors: VisitorStore;
let acts: CartActs;
let news: News[];
let sleep = vi.fn<(ms: number) => Promise<void>>();

beforeEach(() => {
  store = new FakeStore();
  store.items.set('1', { stock: 10, price: 100 });
  store.items.set('2', { stock: 1, price: 30 });
  visitors = new VisitorStore(() => null);
  news = [];
  sleep = vi.fn(async () => {});
  acts = newActs();
});

function newActs() {
  return new CartActs({
    routes: store,
    visitors,
    onNews: (what) => news.push(what),
    sleep,
  });
}

function current(): Order {
  const order = store.orders.get(visitors.read().order ?? '');
  if (order === undefined) throw new Error('no order');
  return order;
}

function credit(): number | undefined {
  return store.users.get(visitors.read().user ?? '');
}

async function failureOf(act: Promise<unknown>) {
  return act.then(
    () => 'none',
    (error: unknown) => error,
  );
}

async function reasonOf(act: Promise<unknown>) {
  const failure = await failureOf(act);
  return failure instanceof Refusal ? failure.reason : failure;
}

/** One of item 1 in the cart, and the credit for it. */
async function readyToPay() {
  await acts.add('1');
  await acts.addFunds(500);
  return current();
}

describe('adding', () => {
  test('makes a user and an order on first need, and no others later', async () => {
    await acts.add('1');
    await acts.add('1');
    const order = await acts.add('2');
    expect(order.lines).toEqual([
      { item: '1', quantity: 2 },
      { item: '2', quantity: 1 },
    ]);
    expect([store.users.size, store.orders.size]).toEqual([1, 1]);
  });

  test('at once from two places makes one order', async () => {
    const elsewhere = newActs();
    await Promise.all([acts.add('1'), elsewhere.add('2'), acts.add('1')]);
    expect([store.users.size, store.orders.size]).toEqual([1, 1]);
    expect(current().total).toBe(230);
  });

  test('whose answer is lost is seen to have happened', async () => {
    store.lose('addItem', 'after');
    expect(quantityOf(await acts.add('1'), '1')).toBe(1);
  });

  test('that did not arrive is told, and adds nothing', async () => {
    await acts.add('1');
    store.lose('addItem', 'before');
    expect(await failureOf(acts.add('1'))).toBeInstanceOf(ApiError);
    expect(quantityOf(current(), '1')).toBe(1);
  });

  test('what is not for sale is refused', async () => {
    expect(await reasonOf(acts.add('3'))).toBe('notForSale');
  });

  test('after the order was paid elsewhere begins a new one', async () => {
    const { id } = await readyToPay();
    await store.checkout(id);
    await acts.add('2');
    expect(current().id).not.toBe(id);
    expect(visitors.read().paid.map((order) => order.id)).toEqual([id]);
    expect(news).toEqual(['paidAlready']);
  });

  test('after the store has lost the order begins a new one', async () => {
    store.orders.delete((await readyToPay()).id);
    await acts.add('2');
    expect(current().lines).toEqual([{ item: '2', quantity: 1 }]);
    expect(credit()).toBe(500);
    expect(news).toEqual(['cartGone']);
  });

  test('in a store that has begun anew makes a new user, once', async () => {
    const seen = await readyToPay();
    await acts.checkout(seen);
    store.users.clear();
    store.orders.clear();
    await acts.add('1');
    expect(visitors.read().paid).toEqual([]);
    expect(current().total).toBe(100);
    expect(store.users.size).toBe(1);
    expect(news).toEqual(['storeBeganAnew']);
  });
});

describe('quantities', () => {
  test('are reached from wherever they are', async () => {
    await acts.add('1');
    expect(quantityOf(await acts.setQuantity('1', 4), '1')).toBe(4);
    expect(quantityOf(await acts.setQuantity('1', 2), '1')).toBe(2);
    expect((await acts.setQuantity('1', 0)).lines).toEqual([]);
  });

  test('asked for twice are reached once', async () => {
    await acts.add('1');
    await Promise.all([acts.setQuantity('1', 3), acts.setQuantity('1', 3)]);
    expect(quantityOf(current(), '1')).toBe(3);
  });

  test('half reached when the store goes away are told', async () => {
    await acts.setQuantity('1', 3);
    store.lose('removeItem', 'before');
    expect(await failureOf(acts.setQuantity('1', 1))).toBeInstanceOf(ApiError);
    expect(quantityOf(current(), '1')).toBe(3);
  });
});

describe('a checkout', () => {
  test('pays, empties the cart and enters the history', async () => {
    const seen = await readyToPay();
    expect((await acts.checkout(seen)).paid).toBe(true);
    expect(visitors.read()).toMatchObject({ order: null, paid: [{ id: seen.id }] });
    expect(credit()).toBe(400);
    expect(store.items.get('1')?.stock).toBe(9);
  });

  test('twice at once pays once', async () => {
    const seen = await readyToPay();
    await Promise.all([acts.checkout(seen), acts.checkout(seen)]);
    expect(credit()).toBe(400);
    expect(visitors.read().paid).toHaveLength(1);
  });

  test.each(['before', 'after'] as const)('lost %s it was done is sent again', async (when) => {
    const seen = await readyToPay();
    store.lose('checkout', when, 2);
    await acts.checkout(seen);
    expect(credit()).toBe(400);
    expect(sleep).toHaveBeenCalledTimes(2);
  });

  test('that stays without an answer is left open, and may be repeated', async () => {
    const seen = await readyToPay();
    store.lose('checkout', 'after', 4);
    expect(await failureOf(acts.checkout(seen))).toMatchObject({ kind: 'unreachable' });
    expect(visitors.read().order).toBe(seen.id);
    await acts.checkout(seen);
    expect(credit()).toBe(400);
    expect(visitors.read()).toMatchObject({ order: null, paid: [{ id: seen.id }] });
  });

  test('with too little credit is refused and changes nothing', async () => {
    await acts.add('1');
    expect(await failureOf(acts.checkout(current()))).toMatchObject({
      reason: 'obstacles',
      short: [],
    });
    expect(current().paid).toBe(false);
  });

  test('names every line of which there is too little', async () => {
    await acts.setQuantity('2', 3);
    await acts.add('1');
    await acts.addFunds(1_000);
    expect(await failureOf(acts.checkout(current()))).toMatchObject({
      reason: 'obstacles',
      short: [{ item: '2', quantity: 3, stock: 1 }],
    });
    expect(credit()).toBe(1_000);
  });

  test('of a cart that another tab has changed is held back', async () => {
    const seen = await readyToPay();
    await newActs().add('2');
    expect(await reasonOf(acts.checkout(seen))).toBe('changed');
    expect(credit()).toBe(500);
  });

  test('of an order that the store has lost is refused, and said', async () => {
    const seen = await readyToPay();
    store.orders.clear();
    expect(await reasonOf(acts.checkout(seen))).toBe('changed');
    expect(visitors.read().order).toBe(null);
    expect(news).toEqual(['cartGone']);
  });
});

describe('cancelling', () => {
  test.each([null, 'before', 'after'] as const)(
    'returns the credit once, answer lost: %s',
    async (when) => {
      const seen = await readyToPay();
      await acts.checkout(seen);
      if (when) store.lose('cancel', when);
      if (when === 'before') {
        expect(await failureOf(acts.cancel(seen.id))).toMatchObject({ kind: 'unreachable' });
        expect(credit()).toBe(400);
      }
      await acts.cancel(seen.id);
      expect(credit()).toBe(500);
      await acts.cancel(seen.id);
      expect(credit()).toBe(500);
    },
  );
});

describe('funds', () => {
  test.each([
    ['before', 'unreachable', 0],
    ['after', undefined, 500],
  ] as const)('lost %s they were added', async (when, kind, left) => {
    store.lose('addFunds', when);
    const failure = await failureOf(acts.addFunds(500));
    expect(failure instanceof ApiError ? failure.kind : undefined).toBe(kind);
    expect(credit()).toBe(left);
  });
});

test('an order of the history that the store has lost is dropped; with its user, all are', async () => {
  for (let n = 0; n < 3; n += 1) await acts.checkout(await readyToPay());
  const [lost] = visitors.read().paid;
  await acts.forget(lost?.id ?? '');
  expect(visitors.read().paid).toHaveLength(2);
  expect(news).toEqual([]);
  store.users.clear();
  await Promise.all(visitors.read().paid.map(({ id }) => acts.forget(id)));
  expect(visitors.read()).toMatchObject({ user: null, paid: [] });
  expect(news).toEqual(['storeBeganAnew']);
});

test('looking again settles an order that was paid and forgets a store that is gone', async () => {
  const { id } = await readyToPay();
  await store.checkout(id);
  await acts.lookAgain();
  expect(visitors.read()).toMatchObject({ order: null, paid: [{ id }] });
  store.users.clear();
  await acts.lookAgain();
  expect(visitors.read()).toMatchObject({ user: null, paid: [] });
  expect(news).toEqual(['paidAlready', 'storeBeganAnew']);
});
