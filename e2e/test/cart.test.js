import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { accessible, fitsTheWidth } from '../support/audit.js';
import { PHONE } from '../support/browser.js';
import { arrive, shows, until } from '../support/reading.js';
import { useShop } from '../support/shop.js';

const shop = useShop();
const KEY = 'storefront.visitor';

const button = (page, name) => page.getByRole('button', { name });
const cartButton = (page) => page.getByRole('banner').getByRole('link', { name: /^Cart/ });
const line = (page, name) =>
  page.getByRole('region', { name: 'In the cart' }).getByRole('listitem').filter({ hasText: name });
const sum = (page, name) =>
  page
    .locator('.summary dl > div')
    .filter({ has: page.locator('dt', { hasText: name }) })
    .locator('dd');

async function counts(page, number) {
  await shows(cartButton(page), number === 0 ? '' : String(number));
}

/** Puts a game into the cart on its own page. */
async function add(page, id) {
  await page.goto(`/${id}`);
  await button(page, 'Add to cart').click();
  await page.getByText('is in your cart.').waitFor();
}

/** A page of the cart with a game in it and enough credit. */
async function readyToPay(id = 1) {
  const page = await shop.visit(`/${id}`);
  await add(page, id);
  await page.getByRole('link', { name: 'View cart' }).click();
  await button(page, 'Add 20,000 credits').click();
  await shows(sum(page, 'Your credit'), '20,000 credits');
  return page;
}

async function stockOf(item) {
  return (await shop.store.get(`/stock/find/${item}`)).stock;
}

function visitorOf(page) {
  return page.evaluate((key) => JSON.parse(localStorage.getItem(key)), KEY);
}

async function creditOf(page) {
  const { user } = await visitorOf(page);
  return (await shop.store.get(`/payment/find_user/${user}`)).credit;
}

test('nothing is made for a visitor who only looks', async () => {
  const page = await shop.visit('/');
  await button(page, 'Add Stardew Valley to the cart').waitFor();
  await page.goto('/cart');
  await arrive(page, 'Your cart is empty');
  assert.equal(await visitorOf(page), null);
});

test('games are put into the cart on their page and from the catalogue', async () => {
  const { price } = await shop.store.get('/stock/find/1');
  const page = await shop.visit('/1');
  await shows(page.locator('.offer__price'), `${price.toLocaleString('en-US')} credits`);
  await add(page, 1);
  await counts(page, 1);
  await page.goto('/');
  await button(page, 'Add Stardew Valley to the cart').click();
  await counts(page, 2);
  assert.equal(new URL(page.url()).pathname, '/');
  await page.reload();
  await counts(page, 2);
  await cartButton(page).click();
  await arrive(page, 'Cart');
  await shows(line(page, 'Stardew Valley').locator('output'), '2');
});

test('a double click adds one', async () => {
  const page = await shop.visit('/1');
  await button(page, 'Add to cart').dblclick();
  await page.getByText('1 in your cart').waitFor();
  const { order } = await visitorOf(page);
  assert.deepEqual((await shop.store.get(`/orders/find/${order}`)).items, [['1', 1]]);
});

test('quantities are changed and games removed', async () => {
  const page = await shop.visit('/1');
  await add(page, 1);
  await add(page, 2);
  await page.getByRole('link', { name: 'View cart' }).click();
  const [one, two] = [await shop.store.get('/stock/find/1'), await shop.store.get('/stock/find/2')];
  const stardew = line(page, 'Stardew Valley');
  for (let n = 0; n < 3; n += 1) await button(stardew, 'One more').click();
  await shows(stardew.locator('output'), '4');
  await counts(page, 5);
  const total = (4 * one.price + two.price).toLocaleString('en-US');
  await shows(sum(page, 'Total of 5 games'), `${total} credits`);
  await button(stardew, 'One less').click();
  await counts(page, 4);
  await button(stardew, 'Remove Stardew Valley').click();
  await counts(page, 1);
  await button(page, /^Remove/).click();
  await arrive(page, 'Your cart is empty');
  await until(page, () => document.activeElement.id === 'main');
});

test('a visitor without credit gets some, pays, and takes it back', async () => {
  const { price, stock } = await shop.store.get('/stock/find/1');
  const page = await shop.visit('/1');
  await add(page, 1);
  await page.getByRole('link', { name: 'View cart' }).click();
  await shows(sum(page, 'Your credit'), '0 credits');
  await button(page, 'Check out').click();
  await page.getByText(`You need ${price.toLocaleString('en-US')} credits more.`).waitFor();
  assert.equal(await stockOf(1), stock);

  await button(page, 'Add 5,000 credits').dblclick();
  await shows(sum(page, 'Your credit'), '5,000 credits');
  await page.getByText(/^You need/).waitFor({ state: 'hidden' });
  await button(page, 'Check out').dblclick();
  await arrive(page, 'Thank you!');
  await counts(page, 0);
  await page.getByText(`Your credit: ${(5_000 - price).toLocaleString('en-US')} credits`).waitFor();
  assert.equal(await stockOf(1), stock - 1);
  assert.equal(await creditOf(page), 5_000 - price);

  await page.reload();
  await arrive(page, 'Your cart is empty');
  await button(page, 'Cancel order').click();
  await button(page, 'Yes, refund it').click();
  await page.getByText('Cancelled and refunded').waitFor();
  assert.equal(await stockOf(1), stock);
  assert.equal(await creditOf(page), 5_000);
});

test('what is sold out cannot be added, and is named when it happens late', async () => {
  const { overviews } = await shop.store.get('/api/overview?limit=24');
  const stocks = await Promise.all(overviews.map(({ game_id }) => stockOf(game_id)));
  const gone = overviews[stocks.indexOf(0)];
  const page = await shop.visit(`/${gone.game_id}`);
  await page.getByText('Sold out').waitFor();
  assert.equal(await button(page, 'Add to cart').count(), 0);

  await add(page, 3);
  const name = (await shop.store.get('/api/overview/3'))[0].game_name.replaceAll('_', ' ');
  await page.getByRole('link', { name: 'View cart' }).click();
  await button(page, 'Add 20,000 credits').click();
  await shows(sum(page, 'Your credit'), '20,000 credits');
  await shop.store.post(`/stock/subtract/3/${await stockOf(3)}`);
  await button(page, 'Check out').click();
  await page.getByText(`${name} is sold out.`).waitFor();
  await shows(sum(page, 'Your credit'), '20,000 credits');
  await accessible(page);
});

test('a game without an item is not for sale', async () => {
  const { origin } = shop.store;
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
  const page = await shop.visit(response.headers.get('location').replace('/api/overview', ''));
  await arrive(page, 'Unpriced');
  await page.locator('[data-reviews=all]').waitFor();
  await page.locator('.offer').waitFor({ state: 'detached' });
});

describe('two tabs', () => {
  test('show the same cart', async () => {
    const one = await shop.visit('/1');
    await add(one, 1);
    const other = await one.context().newPage();
    await add(other, 1);
    await counts(one, 2);
  });

  test('an order that is paid in the other one is said', async () => {
    const one = await readyToPay();
    const other = await one.context().newPage();
    await other.goto('/cart');
    await button(other, 'Check out').click();
    await arrive(other, 'Thank you!');
    await one.getByText('Your order was paid in another tab.').waitFor();
    await arrive(one, 'Your cart is empty');
    await button(one, 'Cancel order').waitFor();
  });

  test('nobody pays for what they have not seen', async () => {
    const one = await readyToPay();
    const { order } = await visitorOf(one);
    await shop.store.post(`/orders/addItem/${order}/2/1`);
    await button(one, 'Check out').click();
    await one.getByText('Nothing was paid. Your cart has changed meanwhile').waitFor();
    await counts(one, 2);
    await button(one, 'Check out').click();
    await arrive(one, 'Thank you!');
  });
});

describe('the store goes away', () => {
  test('and a checkout is repeated when it is back', async () => {
    const { price } = await shop.store.get('/stock/find/1');
    const page = await readyToPay();
    await shop.store.kill();
    await button(page, 'Check out').click();
    await page.getByText('The store does not answer').waitFor();
    await shop.store.restart();
    await button(page, 'Check out').click();
    await arrive(page, 'Thank you!');
    assert.equal(await creditOf(page), 20_000 - price);
  });

  test('after it has paid, before it could say so', async () => {
    const { price } = await shop.store.get('/stock/find/1');
    const page = await readyToPay();
    let asked = 0;
    await page.route('**/orders/checkout/**', async (route) => {
      asked += 1;
      if (asked === 1) await route.fetch();
      if (asked <= 2) await route.abort();
      else await route.continue();
    });
    await button(page, 'Check out').click();
    await arrive(page, 'Thank you!');
    assert.equal(asked, 3);
    assert.equal(await creditOf(page), 20_000 - price);
  });

  test('while a game is added', async () => {
    const page = await shop.visit('/1');
    await page.route('**/orders/addItem/**', (route) =>
      route.fulfill({ status: 503, headers: { 'retry-after': '1' }, body: '{}' }),
    );
    await button(page, 'Add to cart').click();
    await page.getByText('The store cannot be reached at the moment. Please try again.').waitFor();
    await accessible(page);
    await page.unroute('**/orders/addItem/**');
    await button(page, 'Add to cart').click();
    await page.getByText('1 in your cart').waitFor();
  });

  test('and the cart is asked for', async () => {
    const page = await readyToPay();
    await page.route('**/orders/find/**', (route) => route.abort());
    await page.reload();
    await arrive(page, 'The store cannot be reached');
    await page.unroute('**/orders/find/**');
    await button(page, 'Try again').click();
    await arrive(page, 'Cart');
  });
});

describe('what the browser remembers', () => {
  test('of a store that began anew is dropped, kindly', async () => {
    const page = await shop.visit('/1');
    await arrive(page);
    await page.evaluate(
      ([key, value]) => localStorage.setItem(key, value),
      [KEY, '{"user":"gone","order":"gone","paid":[{"id":"gone","at":1}],"turn":1}'],
    );
    await page.goto('/cart');
    await page.getByText('The store has begun anew since your last visit').waitFor();
    await arrive(page, 'Your cart is empty');
    await accessible(page);
    await add(page, 1);
    await counts(page, 1);
  });

  test('is nothing where the user forbids it, and the cart works all the same', async () => {
    const page = await shop.visit('/portal');
    await page.addInitScript(() => {
      Object.defineProperty(window, 'localStorage', {
        get() {
          throw new DOMException('forbidden', 'SecurityError');
        },
      });
    });
    await add(page, 1);
    await page.getByRole('link', { name: 'View cart' }).click();
    await page.getByText(/last until you close or reload it/).waitFor();
    await button(page, 'Add 5,000 credits').click();
    await shows(sum(page, 'Your credit'), '5,000 credits');
    await button(page, 'Check out').click();
    await arrive(page, 'Thank you!');
  });
});

test('all of it on a phone', async () => {
  const page = await shop.visit('/', { viewport: PHONE, hasTouch: true });
  await button(page, 'Add Stardew Valley to the cart').tap();
  await page.getByText('Stardew Valley is in your cart.').waitFor();
  await fitsTheWidth(page);
  await page.getByRole('link', { name: 'View cart' }).tap();
  await arrive(page, 'Cart');
  await button(page, 'One more').tap();
  await shows(page.locator('output'), '2');
  await button(page, 'Add 5,000 credits').tap();
  await shows(sum(page, 'Your credit'), '5,000 credits');
  await fitsTheWidth(page);
  await accessible(page);
  await button(page, 'Check out').tap();
  await arrive(page, 'Thank you!');
  await fitsTheWidth(page);
});
