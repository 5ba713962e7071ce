import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { PHONE } from '../support/browser.js';
import { assertAccessible, assertFitsWidth } from '../support/checks.js';
import { waitForHeading, waitForText, waitUntil } from '../support/page.js';
import { useSite } from '../support/site.js';

const site = useSite();
const VISITOR_KEY = 'storefront.visitor';
const WAITING = 'One moment: the store is not responding.';

const button = (page, name) => page.getByRole('button', { name });
const cartButton = (page) => page.getByRole('banner').getByRole('link', { name: /^Cart/ });
const line = (page, name) =>
  page
    .getByRole('region', { name: 'Games in your cart' })
    .getByRole('listitem')
    .filter({ hasText: name });
const sum = (page, name) =>
  page
    .locator('.summary dl > div')
    .filter({ has: page.locator('dt', { hasText: name }) })
    .locator('dd');

async function waitForCount(page, number) {
  await waitForText(cartButton(page), number === 0 ? '' : String(number));
}

/** Adds a game to the cart on its own page. */
async function add(page, id) {
  await page.goto(`/${id}`);
  await button(page, 'Add to cart').click();
  await page.getByText('was added to your cart.').waitFor();
}

/** The cart page with one game and enough credit. */
async function readyToPay(id = 1) {
  const page = await site.openPage(`/${id}`);
  await add(page, id);
  await page.getByRole('link', { name: 'View cart' }).click();
  await button(page, 'Add 20,000 credits').click();
  await waitForText(sum(page, 'Your balance'), '20,000 credits');
  return page;
}

/** Lets the page wait for nearly as long as it would, whatever the random part of the backoff is. */
async function waitLong(page) {
  await page.evaluate(() => {
    Math.random = () => 0.9;
  });
}

/**
 * Drops the responses to the first `times` requests of each route after the store has handled the
 * request; returns the idempotency keys of all requests, in order, as they are sent.
 */
async function loseResponses(page, routes, times) {
  const keys = [];
  const lost = new Map();
  await page.route(routes, async (route) => {
    const request = route.request();
    keys.push(request.headers()['idempotency-key']);
    const count = lost.get(request.url()) ?? 0;
    lost.set(request.url(), count + 1);
    if (count >= times) return route.continue();
    await route.fetch();
    await route.abort();
  });
  return keys;
}

async function stockOf(item) {
  return (await site.store.get(`/stock/find/${item}`)).stock;
}

function visitorOf(page) {
  return page.evaluate((key) => JSON.parse(localStorage.getItem(key)), VISITOR_KEY);
}

async function creditOf(page) {
  const { user } = await visitorOf(page);
  return (await site.store.get(`/payment/find_user/${user}`)).credit;
}

test('no user is created for a visitor who only browses', async () => {
  const page = await site.openPage('/');
  await button(page, 'Add Stardew Valley to cart').waitFor();
  await page.goto('/cart');
  await waitForHeading(page, 'Your cart is empty');
  assert.equal(await visitorOf(page), null);
});

test('games are added on their page and in the catalogue', async () => {
  const { price } = await site.store.get('/stock/find/1');
  const page = await site.openPage('/1');
  await waitForText(page.locator('.offer__price'), `${price.toLocaleString('en-US')} credits`);
  await add(page, 1);
  await waitForCount(page, 1);
  await page.goto('/');
  await button(page, 'Add Stardew Valley to cart').click();
  await waitForCount(page, 2);
  assert.equal(new URL(page.url()).pathname, '/');
  await page.reload();
  await waitForCount(page, 2);
  await cartButton(page).click();
  await waitForHeading(page, 'Cart');
  await waitForText(line(page, 'Stardew Valley').locator('output'), '2');
});

test('a double click adds one', async () => {
  const page = await site.openPage('/1');
  await button(page, 'Add to cart').dblclick();
  await page.getByText('1 in your cart').waitFor();
  const { order } = await visitorOf(page);
  assert.deepEqual((await site.store.get(`/orders/find/${order}`)).items, [['1', 1]]);
});

test('quantities can be changed and games removed', async () => {
  const page = await site.openPage('/1');
  await add(page, 1);
  await add(page, 2);
  await page.getByRole('link', { name: 'View cart' }).click();
  const [one, two] = [await site.store.get('/stock/find/1'), await site.store.get('/stock/find/2')];
  const stardew = line(page, 'Stardew Valley');
  for (let n = 0; n < 3; n += 1) await button(stardew, 'Increase quantity').click();
  await waitForText(stardew.locator('output'), '4');
  await waitForCount(page, 5);
  const total = (4 * one.price + two.price).toLocaleString('en-US');
  await waitForText(sum(page, 'Total (5 games)'), `${total} credits`);
  await button(stardew, 'Decrease quantity').click();
  await waitForCount(page, 4);
  await button(stardew, 'Remove Stardew Valley').click();
  await waitForCount(page, 1);
  await button(page, /^Remove/).click();
  await waitForHeading(page, 'Your cart is empty');
  await waitUntil(page, () => document.activeElement.id === 'main');
});

test('a visitor adds credit, pays and gets a refund', async () => {
  const { price, stock } = await site.store.get('/stock/find/1');
  const page = await site.openPage('/1');
  await add(page, 1);
  await page.getByRole('link', { name: 'View cart' }).click();
  await waitForText(sum(page, 'Your balance'), '0 credits');
  await button(page, 'Check out').click();
  await page.getByText(`You still need ${price.toLocaleString('en-US')} credits.`).waitFor();
  assert.equal(await stockOf(1), stock);

  await button(page, 'Add 5,000 credits').dblclick();
  await waitForText(sum(page, 'Your balance'), '5,000 credits');
  await page.getByText(/^You still need \d/).waitFor({ state: 'hidden' });
  await button(page, 'Check out').dblclick();
  await waitForHeading(page, 'Thank you!');
  await waitForCount(page, 0);
  await page
    .getByText(`Your balance: ${(5_000 - price).toLocaleString('en-US')} credits`)
    .waitFor();
  assert.equal(await stockOf(1), stock - 1);
  assert.equal(await creditOf(page), 5_000 - price);

  await page.reload();
  await waitForHeading(page, 'Your cart is empty');
  await button(page, 'Cancel order').click();
  await button(page, 'Yes, cancel it').click();
  await page.getByText('Cancelled and refunded').waitFor();
  assert.equal(await stockOf(1), stock);
  assert.equal(await creditOf(page), 5_000);
});

test('a sold-out game cannot be added, and blocks a checkout by name', async () => {
  const { overviews } = await site.store.get('/api/overview?limit=24');
  const stocks = await Promise.all(overviews.map(({ game_id }) => stockOf(game_id)));
  const soldOut = overviews[stocks.indexOf(0)];
  const page = await site.openPage(`/${soldOut.game_id}`);
  await page.getByText('Sold out').waitFor();
  assert.equal(await button(page, 'Add to cart').count(), 0);

  await add(page, 3);
  const name = (await site.store.get('/api/overview/3'))[0].game_name.replaceAll('_', ' ');
  await page.getByRole('link', { name: 'View cart' }).click();
  await button(page, 'Add 20,000 credits').click();
  await waitForText(sum(page, 'Your balance'), '20,000 credits');
  await site.store.post(`/stock/subtract/3/${await stockOf(3)}`);
  await button(page, 'Check out').click();
  await page.getByText(`${name} is sold out.`).waitFor();
  await waitForText(sum(page, 'Your balance'), '20,000 credits');
  await assertAccessible(page);
});

test('a game without an item is not for sale', async () => {
  const { origin } = site.store;
  const response = await fetch(`${origin}/api/overview`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      game_name: 'Unpriced',
      description: 'x',
      release_date: '2020-01-01',
      developer: 'x',
      publisher: 'x',
    }),
  });
  const page = await site.openPage(response.headers.get('location').replace('/api/overview', ''));
  await waitForHeading(page, 'Unpriced');
  await page.locator('[data-reviews=all]').waitFor();
  await page.locator('.offer').waitFor({ state: 'detached' });
});

describe('two tabs', () => {
  test('show the same cart', async () => {
    const one = await site.openPage('/1');
    await add(one, 1);
    const other = await one.context().newPage();
    await add(other, 1);
    await waitForCount(one, 2);
  });

  test('an order paid in the other tab is reported', async () => {
    const one = await readyToPay();
    const other = await one.context().newPage();
    await other.goto('/cart');
    await button(other, 'Check out').click();
    await waitForHeading(other, 'Thank you!');
    await one.getByText('Your order was paid in another tab.').waitFor();
    await waitForHeading(one, 'Your cart is empty');
    await button(one, 'Cancel order').waitFor();
  });

  test('an order changed in the other tab is not paid before it is displayed', async () => {
    const one = await readyToPay();
    const { order } = await visitorOf(one);
    await site.store.post(`/orders/addItem/${order}/2/1`);
    await button(one, 'Check out').click();
    await one.getByText('You were not charged. Your cart has changed').waitFor();
    await waitForCount(one, 2);
    await button(one, 'Check out').click();
    await waitForHeading(one, 'Thank you!');
  });
});

describe('the store becomes unreachable', () => {
  test('before a checkout, which waits for the restart', async () => {
    const { price } = await site.store.get('/stock/find/1');
    const page = await readyToPay();
    await waitLong(page);
    await site.store.kill();
    await button(page, 'Check out').click();
    await page.getByText(WAITING).waitFor();
    await site.store.restart();
    await waitForHeading(page, 'Thank you!');
    await page.getByText(WAITING).waitFor({ state: 'detached' });
    assert.equal(await creditOf(page), 20_000 - price);
  });

  test('after the payment, before the response: charged once', async () => {
    const { price, stock } = await site.store.get('/stock/find/1');
    const page = await readyToPay();
    const keys = await loseResponses(page, '**/orders/checkout/**', 2);
    await button(page, 'Check out').click();
    await waitForHeading(page, 'Thank you!');
    assert.deepEqual(keys, Array(3).fill(keys[0]));
    assert.equal(await creditOf(page), 20_000 - price);
    assert.equal(await stockOf(1), stock - 1);
  });

  test('after a game was added, before the response: the order has it once', async () => {
    const page = await site.openPage('/1');
    const keys = await loseResponses(page, '**/orders/addItem/**', 2);
    await button(page, 'Add to cart').click();
    await page.getByText('was added to your cart.').waitFor();
    const { order } = await visitorOf(page);
    assert.deepEqual((await site.store.get(`/orders/find/${order}`)).items, [['1', 1]]);
    assert.deepEqual(keys, Array(3).fill(keys[0]));
  });

  test('after every other write, before the response: one user, one order, credit once', async () => {
    const page = await site.openPage('/1');
    const keys = await loseResponses(
      page,
      /\/(create_user|orders\/create|removeItem|add_funds)/,
      1,
    );
    await button(page, 'Add to cart').click();
    await page.getByText('was added to your cart.').waitFor();
    await page.getByRole('link', { name: 'View cart' }).click();
    await button(page, 'Add 5,000 credits').click();
    await waitForText(sum(page, 'Your balance'), '5,000 credits');
    await button(page, /^Remove/).click();
    await waitForHeading(page, 'Your cart is empty');
    assert.equal(await creditOf(page), 5_000);
    const { order } = await visitorOf(page);
    assert.deepEqual((await site.store.get(`/orders/find/${order}`)).items, []);
    assert.deepEqual([keys.length, new Set(keys).size], [8, 4]);
  });

  test('after the payment, and the visitor reloads: the order is in the history', async () => {
    const { price } = await site.store.get('/stock/find/1');
    const page = await readyToPay();
    await waitLong(page);
    await loseResponses(page, '**/orders/checkout/**', Number.POSITIVE_INFINITY);
    await button(page, 'Check out').click();
    await page.getByText(WAITING).waitFor();
    await page.reload();
    await page.getByText('Your order has already been paid.').waitFor();
    await button(page, 'Cancel order').waitFor();
    assert.equal(await creditOf(page), 20_000 - price);
  });

  test('while a game is added', async () => {
    const page = await site.openPage('/1');
    let retryAfter = '5';
    await page.route('**/orders/addItem/**', (route) =>
      route.fulfill({ status: 503, headers: { 'retry-after': retryAfter }, body: '{}' }),
    );
    await button(page, 'Add to cart').click();
    await page.getByText(WAITING).waitFor();
    await assertAccessible(page);
    await button(page, 'Stop trying').click();
    await page.getByText('Stardew Valley may already be in your cart.').waitFor();
    await assertAccessible(page);
    // Longer than the page makes a visitor wait.
    retryAfter = '60';
    await button(page, 'Dismiss message').click();
    await button(page, 'Add to cart').click();
    await page.getByText('Stardew Valley may already be in your cart.').waitFor();
    await page.unroute('**/orders/addItem/**');
    await button(page, 'Add to cart').click();
    await page.getByText('1 in your cart').waitFor();
  });

  test('before the cart is loaded', async () => {
    const page = await readyToPay();
    await page.route('**/orders/find/**', (route) => route.abort());
    await page.reload();
    await waitForHeading(page, 'The store cannot be reached');
    await page.unroute('**/orders/find/**');
    await button(page, 'Try again').click();
    await waitForHeading(page, 'Cart');
  });
});

describe('the visitor in local storage', () => {
  test('is cleared with a message after a reset of the store', async () => {
    const page = await site.openPage('/1');
    await waitForHeading(page);
    await page.evaluate(
      ([key, value]) => localStorage.setItem(key, value),
      [VISITOR_KEY, '{"user":"gone","order":"gone","paid":[{"id":"gone","at":1}],"revision":1}'],
    );
    await page.goto('/cart');
    await page.getByText('The store was reset since your last visit').waitFor();
    await waitForHeading(page, 'Your cart is empty');
    await assertAccessible(page);
    await add(page, 1);
    await waitForCount(page, 1);
  });

  test('is kept in memory when the user forbids storage', async () => {
    const page = await site.openPage('/portal');
    await page.addInitScript(() => {
      Object.defineProperty(window, 'localStorage', {
        get() {
          throw new DOMException('forbidden', 'SecurityError');
        },
      });
    });
    await add(page, 1);
    await page.getByRole('link', { name: 'View cart' }).click();
    await page.getByText(/will be lost when you close or reload it/).waitFor();
    await button(page, 'Add 5,000 credits').click();
    await waitForText(sum(page, 'Your balance'), '5,000 credits');
    await button(page, 'Check out').click();
    await waitForHeading(page, 'Thank you!');
  });
});

test('the whole purchase on a phone', async () => {
  const page = await site.openPage('/', { viewport: PHONE, hasTouch: true });
  await button(page, 'Add Stardew Valley to cart').tap();
  await page.getByText('Stardew Valley was added to your cart.').waitFor();
  await assertFitsWidth(page);
  await page.getByRole('link', { name: 'View cart' }).tap();
  await waitForHeading(page, 'Cart');
  await button(page, 'Increase quantity').tap();
  await waitForText(page.locator('output'), '2');
  await button(page, 'Add 5,000 credits').tap();
  await waitForText(sum(page, 'Your balance'), '5,000 credits');
  await assertFitsWidth(page);
  await assertAccessible(page);
  await button(page, 'Check out').tap();
  await waitForHeading(page, 'Thank you!');
  await assertFitsWidth(page);
});
