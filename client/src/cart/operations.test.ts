import { beforeEach, describe, expect, test, vi } from 'vitest';
import type { Order } from '../api/cart';
import { ApiError } from '../api/errors';
import { FakeStore } from './fakeStore';
import { type CartEvent, CartOperations, quantityOf, Refusal } from './operations';
import { VisitorStore } from './visitor';

let store: FakeStore;
let visitors: VisitorStore;
let operations: CartOperations;
let events: CartEvent[];
let sleep = vi.fn<(ms: number) => Promise<void>>();

beforeEach(() => {
  store = new FakeStore();
  store.items.set('1', { stock: 10, price: 100 });
  store.items.set('2', { stock: 1, price: 30 });
  visitors = new VisitorStore(() => null);
  events = [];
  sleep = vi.fn(async () => {});
  operations = newOperations();
});

function newOperations() {
  return new CartOperations({
    api: store,
    visitors,
    onEvent: (what) => events.push(what),
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

async function errorOf(operation: Promise<unknown>) {
  return operation.then(
    () => 'none',
    (error: unknown) => error,
  );
}

async function refusalReasonOf(operation: Promise<unknown>) {
  const failure = await errorOf(operation);
  return failure instanceof Refusal ? failure.reason : failure;
}

/** One copy of item 1 in the cart, and enough credit. */
async function readyToPay() {
  await operations.add('1');
  await operations.addFunds(500);
  return current();
}

describe('adding', () => {
  test('creates a user and an order when first needed, and only once', async () => {
    await operations.add('1');
    await operations.add('1');
    const order = await operations.add('2');
    expect(order.lines).toEqual([
      { item: '1', quantity: 2 },
      { item: '2', quantity: 1 },
    ]);
    expect([store.users.size, store.orders.size]).toEqual([1, 1]);
  });

  test('concurrently from two tabs creates one order', async () => {
    const otherTab = newOperations();
    await Promise.all([operations.add('1'), otherTab.add('2'), operations.add('1')]);
    expect([store.users.size, store.orders.size]).toEqual([1, 1]);
    expect(current().total).toBe(230);
  });

  test('succeeds if only the response was lost', async () => {
    store.failNext('addItem', 'after');
    expect(quantityOf(await operations.add('1'), '1')).toBe(1);
  });

  test('fails and adds nothing if the request was lost', async () => {
    await operations.add('1');
    store.failNext('addItem', 'before');
    expect(await errorOf(operations.add('1'))).toBeInstanceOf(ApiError);
    expect(quantityOf(current(), '1')).toBe(1);
  });

  test('is refused for an item that is not for sale', async () => {
    expect(await refusalReasonOf(operations.add('3'))).toBe('notForSale');
  });

  test('creates a new order after the current one was paid elsewhere', async () => {
    const { id } = await readyToPay();
    await store.checkout(id);
    await operations.add('2');
    expect(current().id).not.toBe(id);
    expect(visitors.read().paid.map((order) => order.id)).toEqual([id]);
    expect(events).toEqual(['alreadyPaid']);
  });

  test('creates a new order after the store has lost the current one', async () => {
    store.orders.delete((await readyToPay()).id);
    await operations.add('2');
    expect(current().lines).toEqual([{ item: '2', quantity: 1 }]);
    expect(credit()).toBe(500);
    expect(events).toEqual(['cartLost']);
  });

  test('creates one new user after a reset of the store', async () => {
    const displayed = await readyToPay();
    await operations.checkout(displayed);
    store.users.clear();
    store.orders.clear();
    await operations.add('1');
    expect(visitors.read().paid).toEqual([]);
    expect(current().total).toBe(100);
    expect(store.users.size).toBe(1);
    expect(events).toEqual(['storeReset']);
  });
});

describe('quantities', () => {
  test('can be raised, lowered and set to zero', async () => {
    await operations.add('1');
    expect(quantityOf(await operations.setQuantity('1', 4), '1')).toBe(4);
    expect(quantityOf(await operations.setQuantity('1', 2), '1')).toBe(2);
    expect((await operations.setQuantity('1', 0)).lines).toEqual([]);
  });

  test('requested twice are set once', async () => {
    await operations.add('1');
    await Promise.all([operations.setQuantity('1', 3), operations.setQuantity('1', 3)]);
    expect(quantityOf(current(), '1')).toBe(3);
  });

  test('fail when the store becomes unreachable half way', async () => {
    await operations.setQuantity('1', 3);
    store.failNext('removeItem', 'before');
    expect(await errorOf(operations.setQuantity('1', 1))).toBeInstanceOf(ApiError);
    expect(quantityOf(current(), '1')).toBe(3);
  });
});

describe('a checkout', () => {
  test('pays, empties the cart and is added to the history', async () => {
    const displayed = await readyToPay();
    expect((await operations.checkout(displayed)).paid).toBe(true);
    expect(visitors.read()).toMatchObject({ order: null, paid: [{ id: displayed.id }] });
    expect(credit()).toBe(400);
    expect(store.items.get('1')?.stock).toBe(9);
  });

  test('sent twice concurrently pays once', async () => {
    const displayed = await readyToPay();
    await Promise.all([operations.checkout(displayed), operations.checkout(displayed)]);
    expect(credit()).toBe(400);
    expect(visitors.read().paid).toHaveLength(1);
  });

  test.each(['before', 'after'] as const)('lost %s it took effect is retried', async (when) => {
    const displayed = await readyToPay();
    store.failNext('checkout', when, 2);
    await operations.checkout(displayed);
    expect(credit()).toBe(400);
    expect(sleep).toHaveBeenCalledTimes(2);
  });

  test('without any response leaves the order open and can be repeated', async () => {
    const displayed = await readyToPay();
    store.failNext('checkout', 'after', 4);
    expect(await errorOf(operations.checkout(displayed))).toMatchObject({ kind: 'unreachable' });
    expect(visitors.read().order).toBe(displayed.id);
    await operations.checkout(displayed);
    expect(credit()).toBe(400);
    expect(visitors.read()).toMatchObject({ order: null, paid: [{ id: displayed.id }] });
  });

  test('without enough credit is refused and changes nothing', async () => {
    await operations.add('1');
    expect(await errorOf(operations.checkout(current()))).toMatchObject({
      reason: 'insufficient',
      shortages: [],
    });
    expect(current().paid).toBe(false);
  });

  test('names every line that exceeds the stock', async () => {
    await operations.setQuantity('2', 3);
    await operations.add('1');
    await operations.addFunds(1_000);
    expect(await errorOf(operations.checkout(current()))).toMatchObject({
      reason: 'insufficient',
      shortages: [{ item: '2', quantity: 3, stock: 1 }],
    });
    expect(credit()).toBe(1_000);
  });

  test('of an order changed by another tab is refused', async () => {
    const displayed = await readyToPay();
    await newOperations().add('2');
    expect(await refusalReasonOf(operations.checkout(displayed))).toBe('changed');
    expect(credit()).toBe(500);
  });

  test('of an order that the store has lost is refused and reported', async () => {
    const displayed = await readyToPay();
    store.orders.clear();
    expect(await refusalReasonOf(operations.checkout(displayed))).toBe('changed');
    expect(visitors.read().order).toBe(null);
    expect(events).toEqual(['cartLost']);
  });
});

describe('cancelling', () => {
  test.each([null, 'before', 'after'] as const)(
    'returns the credit once; response lost: %s',
    async (when) => {
      const displayed = await readyToPay();
      await operations.checkout(displayed);
      if (when) store.failNext('cancel', when);
      if (when === 'before') {
        expect(await errorOf(operations.cancel(displayed.id))).toMatchObject({
          kind: 'unreachable',
        });
        expect(credit()).toBe(400);
      }
      await operations.cancel(displayed.id);
      expect(credit()).toBe(500);
      await operations.cancel(displayed.id);
      expect(credit()).toBe(500);
    },
  );
});

describe('funds', () => {
  test.each([
    ['before', 'unreachable', 0],
    ['after', undefined, 500],
  ] as const)('lost %s they were added', async (when, kind, left) => {
    store.failNext('addFunds', when);
    const failure = await errorOf(operations.addFunds(500));
    expect(failure instanceof ApiError ? failure.kind : undefined).toBe(kind);
    expect(credit()).toBe(left);
  });
});

test('an order that the store has lost is removed from the history; without its user, all are', async () => {
  for (let n = 0; n < 3; n += 1) await operations.checkout(await readyToPay());
  const [lost] = visitors.read().paid;
  await operations.removeFromHistory(lost?.id ?? '');
  expect(visitors.read().paid).toHaveLength(2);
  expect(events).toEqual([]);
  store.users.clear();
  await Promise.all(visitors.read().paid.map(({ id }) => operations.removeFromHistory(id)));
  expect(visitors.read()).toMatchObject({ user: null, paid: [] });
  expect(events).toEqual(['storeReset']);
});

test('reconciling records a paid order, and clears the visitor after a reset of the store', async () => {
  const { id } = await readyToPay();
  await store.checkout(id);
  await operations.reconcile();
  expect(visitors.read()).toMatchObject({ order: null, paid: [{ id }] });
  store.users.clear();
  await operations.reconcile();
  expect(visitors.read()).toMatchObject({ user: null, paid: [] });
  expect(events).toEqual(['alreadyPaid', 'storeReset']);
});
