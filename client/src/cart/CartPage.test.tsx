import { QueryClientProvider } from '@tanstack/react-query';
import { cleanup, fireEvent, render, screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Overview } from '../api/overview';
import { newQueryClient, StoreApiProvider } from '../api/queries';
import type { StoreApi } from '../api/store';
import { CartPage } from './CartPage';
import { CartProvider } from './context';
import { FakeStore } from './fakeStore';
import { MessageBar } from './MessageBar';
import { GameOffer } from './offers';
import { VisitorStore } from './visitor';

function game(id: number): Overview {
  const text = `Game ${id}`;
  return {
    id,
    name: text,
    description: text,
    releaseDate: '2020-01-01',
    developer: text,
    publisher: text,
    tags: [],
  };
}

const store: StoreApi = {
  overview: async (id) => game(id),
  catalogue: vi.fn(),
  image: async () => 'http://store.example/banner.svg',
  reviews: vi.fn(),
};

let fakeStore: FakeStore;
let visitors: VisitorStore;

beforeEach(() => {
  vi.spyOn(Math, 'random').mockReturnValue(0);
  window.scrollTo = () => {};
  fakeStore = new FakeStore();
  fakeStore.items.set('1', { stock: 10, price: 1_499 });
  fakeStore.items.set('2', { stock: 0, price: 1 });
  visitors = new VisitorStore(() => null);
});
afterEach(cleanup);

function show() {
  render(
    <QueryClientProvider client={newQueryClient()}>
      <StoreApiProvider value={store}>
        <CartProvider api={fakeStore} visitors={visitors}>
          <GameOffer overview={game(1)} />
          <GameOffer overview={game(2)} />
          <GameOffer overview={game(3)} />
          <CartPage />
          <MessageBar />
        </CartProvider>
      </StoreApiProvider>
    </QueryClientProvider>,
  );
  return userEvent.setup();
}

const button = (name: string | RegExp) => screen.findByRole('button', { name });
const line = () => screen.findByRole('listitem');

function inCart() {
  return fakeStore.orders.get(visitors.read().order ?? '')?.lines;
}

test('a sold-out game has a price and no button; one that is not for sale has neither', async () => {
  show();
  expect(await screen.findByText('1,499 credits')).toBeTruthy();
  expect(await screen.findByText('Sold out')).toBeTruthy();
  expect(screen.getAllByRole('button', { name: 'Add to cart' })).toHaveLength(1);
  expect(screen.queryAllByRole('region', { name: 'Buy this game' })).toHaveLength(2);
  expect(fakeStore.calls).not.toContain('createUser');
});

test('a double click adds one', async () => {
  const user = show();
  await user.dblClick(await button('Add to cart'));
  expect(await screen.findByText('Game 1 was added to your cart.')).toBeTruthy();
  await waitFor(() => expect(screen.getByText('1 in your cart')).toBeTruthy());
  expect(inCart()).toEqual([{ item: '1', quantity: 1 }]);
});

test('two clicks before the next render add one', async () => {
  show();
  const add = await button('Add to cart');
  fireEvent.click(add);
  fireEvent.click(add);
  await screen.findByText('Game 1 was added to your cart.');
  expect(inCart()).toEqual([{ item: '1', quantity: 1 }]);
});

test('an unreachable store is reported, and nothing is added', async () => {
  const user = show();
  await user.click(await button('Add to cart'));
  await screen.findByText('Game 1 was added to your cart.');
  fakeStore.failNext('order', 'before', 1, 60_000);
  await user.click(await button('Increase quantity'));
  expect(await screen.findByText('The store cannot be reached right now.')).toBeTruthy();
  expect(inCart()).toEqual([{ item: '1', quantity: 1 }]);
});

test('while the store does not respond, a message says so until the game is added', async () => {
  fakeStore.failNext('addItem', 'after', 1, 300);
  const user = show();
  await user.click(await button('Add to cart'));
  expect(await screen.findByText(/^One moment: the store is not responding/)).toBeTruthy();
  expect(await screen.findByText('Game 1 was added to your cart.')).toBeTruthy();
  expect(screen.queryByText(/^One moment/)).toBeNull();
  expect(inCart()).toEqual([{ item: '1', quantity: 1 }]);
});

test('a visitor who stops waiting is told to look in the cart', async () => {
  fakeStore.failNext('addItem', 'before', 1, 10_000);
  const user = show();
  await user.click(await button('Add to cart'));
  await user.click(await button('Stop trying'));
  expect(await screen.findByText(/Game 1 may already be in your cart/)).toBeTruthy();
  expect(inCart()).toEqual([]);
});

test('an order that was read before the game was added does not hide it', async () => {
  let release = () => {};
  const late = new Promise<void>((resolve) => {
    release = resolve;
  });
  const read = fakeStore.order.bind(fakeStore);
  vi.spyOn(fakeStore, 'order').mockImplementationOnce(async (id) => {
    const empty = await read(id);
    await late;
    return empty;
  });
  const user = show();
  await user.click(await button('Add to cart'));
  await screen.findByText('Game 1 was added to your cart.');
  release();
  expect(await screen.findByText('1 in your cart')).toBeTruthy();
});

test('from the first click to the refund', async () => {
  const user = show();
  await user.click(await button('Add to cart'));
  await user.click(await button('Increase quantity'));
  await waitFor(() => expect(inCart()).toEqual([{ item: '1', quantity: 2 }]));
  expect(await within(await line()).findByText('2,998 credits')).toBeTruthy();

  await user.click(await button('Check out'));
  expect(await screen.findByText(/You still need 2,998 credits/)).toBeTruthy();
  await user.click(await button('Add 5,000 credits'));
  await waitFor(() => expect(screen.queryByText(/You still need/)).toBeNull());
  await user.dblClick(await button('Check out'));
  expect(await screen.findByRole('heading', { name: 'Thank you!' })).toBeTruthy();
  expect(screen.getByText(/2 games for 2,998 credits/)).toBeTruthy();
  expect(await screen.findByText('Your balance: 2,002 credits')).toBeTruthy();

  await user.click(await button('Cancel order'));
  await user.click(await button('Keep order'));
  await user.click(await button('Cancel order'));
  await user.click(await button('Yes, cancel it'));
  expect(await screen.findByText('Cancelled and refunded')).toBeTruthy();
  expect(await screen.findByText('Your balance: 5,000 credits')).toBeTruthy();
  expect(screen.queryByRole('heading', { name: 'Thank you!' })).toBeNull();
  expect(fakeStore.items.get('1')?.stock).toBe(10);
});

test('a game sold out in the meantime is named', async () => {
  const user = show();
  await user.click(await button('Add to cart'));
  await user.click(await button('Add 5,000 credits'));
  fakeStore.items.set('1', { stock: 0, price: 1_499 });
  await user.click(await button('Check out'));
  expect(await screen.findByText('Game 1 is sold out.')).toBeTruthy();
  expect(await screen.findByText('Sold out. Please remove it.')).toBeTruthy();
  await user.click(await button('Remove Game 1'));
  expect(await screen.findByRole('heading', { name: 'Your cart is empty' })).toBeTruthy();
});

test('a changed price is reported', async () => {
  const user = show();
  await user.click(await button('Add to cart'));
  await screen.findByText('Total (1 game)');
  expect(screen.queryByText(/prices have changed/)).toBeNull();
  fakeStore.items.set('1', { stock: 1, price: 999 });
  await user.click(await button('Check out'));
  expect(await screen.findByText(/prices have changed/)).toBeTruthy();
});

test('an order paid in another tab is removed from the cart', async () => {
  const user = show();
  await user.click(await button('Add to cart'));
  const { order } = visitors.read();
  fakeStore.orders.set(order ?? '', { ...fakeStore.orders.get(order ?? ''), paid: true } as never);
  await user.click(await button('Increase quantity'));
  expect(await screen.findByText(/Your order has already been paid/)).toBeTruthy();
});

test('without storage the cart warns that it will be lost', async () => {
  show();
  expect(await screen.findByText(/will be lost when you close/)).toBeTruthy();
});
