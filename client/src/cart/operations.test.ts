import { beforeEach, describe, expect, test, vi } from 'vitest';
import { Unconfirmed } from '../api/act';
import type { CartApi, Order } from '../api/cart';
import { MAX_TRIES } from '../api/repeat';
import { FakeStore } from './fakeStore';
import { type CartEvent, CartOperations, quantityOf, Refusal } from './operations';
import { VisitorStore } from './visitor';

let store: FakeStore;
let visitors: VisitorStore;
let operations: CartOperations;
let events: CartEvent[];
let onWait = vi.fn<(stop: (() => void) | null) => void>();

beforeEach(setUp);

function setUp() {
  store = new FakeStore();
  store.items.set('1', { stock: 10, price: 100 });
  store.items.set('2', { stock: 1, price: 30 });
  visitors = new VisitorStore(() => null);
  events = [];
  onWait = vi.fn();
  // No wait between repeats.
  vi.spyOn(Math, 'random').mockReturnValue(0);
  operations = newOperations();
}

function newOperations() {
  return new CartOperations({
    api: store,
    visitors,
    onEvent: (what) => events.push(what),
    onWait,
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

async function payInOtherTab(order: string) {
  await store.checkout(order, { key: 'other tab', signal: new AbortController().signal });
}

describe('adding', () => {
  test('creates a user and an order when first needed, and only once', async () => {
    await operations.add('1');
    await operations.add('1');
    await operations.add('2');
    expect(current().lines).toEqual([
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

  test('fails and adds nothing if the store stays unreachable', async () => {
    await operations.add('1');
    store.failNext('addItem', 'before', MAX_TRIES);
    expect(await errorOf(operations.add('1'))).toBeInstanceOf(Unconfirmed);
    expect(quantityOf(current(), '1')).toBe(1);
  });

  test('is refused for an item that is not for sale', async () => {
    expect(await refusalReasonOf(operations.add('3'))).toBe('notForSale');
  });

  test('creates a new order after the current one was paid elsewhere', async () => {
    const { id } = await readyToPay();
    await payInOtherTab(id);
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
    for (const quantity of [4, 2, 0]) {
      await operations.setQuantity('1', quantity);
      expect(quantityOf(current(), '1')).toBe(quantity);
    }
  });

  test('requested twice are set once', async () => {
    await operations.add('1');
    await Promise.all([operations.setQuantity('1', 3), operations.setQuantity('1', 3)]);
    expect(quantityOf(current(), '1')).toBe(3);
  });

  test('fail when the store becomes unreachable half way', async () => {
    await operations.setQuantity('1', 3);
    store.failNext('removeItem', 'before', MAX_TRIES);
    expect(await errorOf(operations.setQuantity('1', 1))).toBeInstanceOf(Unconfirmed);
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

  test('without any response leaves the order open and can be repeated', async () => {
    const displayed = await readyToPay();
    store.failNext('checkout', 'after', MAX_TRIES);
    expect(await errorOf(operations.checkout(displayed))).toBeInstanceOf(Unconfirmed);
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
  test('returns the credit once, also when another tab has cancelled the order', async () => {
    const displayed = await readyToPay();
    await operations.checkout(displayed);
    await operations.cancel(displayed.id);
    expect(credit()).toBe(500);
    await operations.cancel(displayed.id);
    expect(credit()).toBe(500);
  });
});

describe('a store that cannot be reached for a moment', () => {
  const acts = {
    createUser: () => operations.add('1'),
    createOrder: () => operations.add('1'),
    addItem: () => operations.add('1'),
    removeItem: () => operations.setQuantity('1', 0),
    addFunds: () => operations.addFunds(500),
    checkout: () => operations.checkout(current()),
    cancel: () => operations.cancel(visitors.read().paid[0]?.id ?? ''),
  };
  const cases = Object.keys(acts).flatMap((route) => [
    [route as keyof typeof acts, 'before'] as const,
    [route as keyof typeof acts, 'after'] as const,
  ]);

  async function prepare(route: keyof typeof acts) {
    if (route.startsWith('create') || route === 'addItem') return;
    await operations.add('1');
    if (route === 'addFunds') return;
    await operations.addFunds(500);
    if (route === 'cancel') await operations.checkout(current());
  }

  function state() {
    const { items, users, orders } = store;
    return [[...items], [...users], [...orders]];
  }

  test.each(cases)('%s, two tries lost %s it took effect: one act', async (route, when) => {
    await prepare(route);
    await acts[route]();
    const expected = state();

    setUp();
    await prepare(route);
    store.failNext(route, when, 2);
    await acts[route]();
    expect(state()).toEqual(expected);
    expect(new Set(store.keysOf(route)).size).toBe(1);
    expect(store.keysOf(route)).toHaveLength(3);
  });

  test('another click has another key', async () => {
    await operations.add('1');
    await operations.add('1');
    expect(new Set(store.keysOf('addItem')).size).toBe(2);
    expect(quantityOf(current(), '1')).toBe(2);
  });

  test('every write of a click has its own key, with the same beginning', async () => {
    await operations.add('1');
    const keys = ['createUser', 'createOrder', 'addItem'].flatMap((route) => store.keysOf(route));
    expect(new Set(keys).size).toBe(3);
    expect(new Set(keys.map((key) => key.replace(/\.\d$/, ''))).size).toBe(1);
  });

  test('reads of an act are repeated, too', async () => {
    const displayed = await readyToPay();
    store.failNext('order', 'before', MAX_TRIES - 1);
    await operations.checkout(displayed);
    expect(credit()).toBe(400);
  });

  test('an act that has sent no write says that nothing happened', async () => {
    const displayed = await readyToPay();
    store.failNext('order', 'before', MAX_TRIES);
    expect(await errorOf(operations.checkout(displayed))).toMatchObject({ kind: 'unreachable' });
  });

  test('a longer Retry-After than the visitor would wait ends the act at once', async () => {
    store.failNext('createUser', 'before', 1, 60_000);
    expect(await errorOf(operations.add('1'))).toBeInstanceOf(Unconfirmed);
    expect(store.keysOf('createUser')).toHaveLength(1);
  });

  test('the wait is reported until the act ends, and can be stopped', async () => {
    store.failNext('createUser', 'before', 1, 10_000);
    onWait.mockImplementationOnce((stop) => stop?.());
    expect(await errorOf(operations.add('1'))).toBeInstanceOf(Unconfirmed);
    expect(onWait.mock.calls).toEqual([[expect.any(Function)], [null]]);
    expect(store.keysOf('createUser')).toHaveLength(1);
  });

  test('nothing is repeated for an operation that no visitor waits for', async () => {
    await readyToPay();
    store.failNext('credit', 'before');
    expect(await errorOf(operations.reconcile())).toMatchObject({ kind: 'unreachable' });
  });
});

describe('a reload while an act waits', () => {
  /** Runs an act whose answers are lost, with the page gone before it could record anything. */
  async function interrupted(route: keyof CartApi, act: () => Promise<unknown>) {
    store.failNext(route, 'after', MAX_TRIES);
    await errorOf(act());
    operations = newOperations();
  }

  test('after the payment: the order is in the history, and charged once', async () => {
    const displayed = await readyToPay();
    await interrupted('checkout', () => operations.checkout(displayed));
    await operations.reconcile();
    expect(visitors.read()).toMatchObject({ order: null, paid: [{ id: displayed.id }] });
    expect(credit()).toBe(400);
  });

  test('after a game was added: the order has it once', async () => {
    await operations.add('2');
    await interrupted('addItem', () => operations.add('1'));
    await operations.setQuantity('1', 1);
    expect(current().total).toBe(130);
  });

  test('after a new order was made: the next click makes another, with the game once', async () => {
    await interrupted('createOrder', () => operations.add('1'));
    await operations.add('1');
    expect(current().lines).toEqual([{ item: '1', quantity: 1 }]);
    expect(store.users.size).toBe(1);
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
  await payInOtherTab(id);
  await operations.reconcile();
  expect(visitors.read()).toMatchObject({ order: null, paid: [{ id }] });
  store.users.clear();
  await operations.reconcile();
  expect(visitors.read()).toMatchObject({ user: null, paid: [] });
  expect(events).toEqual(['alreadyPaid', 'storeReset']);
});
