import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { accessible, fitsTheWidth } from '../support/audit.js';
import { DESK, PHONE } from '../support/browser.js';
import { arrive } from '../support/reading.js';
import { useShop } from '../support/shop.js';
import { deadAddress, hanging, startServer } from '../support/sister.js';

const NARROW = { width: 320, height: 640 };

/** Each state of the page: where it is and how to get there. */
const STATES = {
  'a game': ['/1', (page) => page.locator('[data-reviews=all] button').waitFor()],
  'a game with an open tooltip': [
    '/1',
    async (page) => {
      await page.locator('[data-reviews=all] button').focus();
      await page.getByRole('tooltip').waitFor();
    },
  ],
  'the catalogue': ['/', (page) => page.getByRole('link', { name: 'Next' }).waitFor()],
  'a later page': [
    '/',
    async (page) => {
      await page.getByRole('link', { name: 'Next' }).click();
      await page.getByRole('link', { name: 'Previous' }).waitFor();
    },
  ],
  'a complaint about a number': [
    '/1',
    async (page) => {
      await arrive(page);
      await page.getByLabel('Game number').fill('portal');
      await page.getByLabel('Game number').press('Enter');
      await page.getByRole('alert').filter({ hasText: 'whole number' }).waitFor();
    },
  ],
  'an empty cart': ['/cart', (page) => arrive(page, 'Your cart is empty')],
  'a cart that cannot be paid': ['/1', fillCart],
  'an order paid and one refunded': ['/1', buyTwice],
  'a missing game': ['/999999', (page) => arrive(page, 'There is no game number 999999')],
  'no game number': ['/portal', (page) => arrive(page, 'That is no game number')],
};

async function fillCart(page) {
  await page.getByRole('button', { name: 'Add to cart' }).click();
  await page.getByRole('link', { name: 'View cart' }).click();
  await page.getByRole('button', { name: 'Check out' }).click();
  await page.getByText(/^You need/).waitFor();
  await page.getByRole('link', { name: 'Stardew Valley' }).waitFor();
}

async function buyTwice(page) {
  await fillCart(page);
  await page.getByRole('button', { name: 'Add 5,000 credits' }).click();
  await page.getByText('Missing').waitFor({ state: 'hidden' });
  await page.getByRole('button', { name: 'Check out' }).click();
  await page.getByRole('button', { name: 'Cancel order' }).click();
  await page.getByRole('button', { name: 'Yes, refund it' }).click();
  await page.getByText('Cancelled and refunded').waitFor();
  await page.goto('/1');
  await page.getByRole('button', { name: 'Add to cart' }).click();
  await page.getByRole('link', { name: 'View cart' }).click();
  await page.getByRole('button', { name: 'Check out' }).click();
  await arrive(page, 'Thank you!');
  await page.getByText('Cancelled and refunded').waitFor();
  await page.getByRole('button', { name: 'Cancel order' }).waitFor();
}

function audit(shop, name, path, reach) {
  for (const viewport of [DESK, PHONE, NARROW]) {
    test(`${name} at ${viewport.width} px`, async () => {
      const page = await shop.visit(path, { viewport });
      await reach(page);
      await fitsTheWidth(page);
      await accessible(page);
    });
  }
}

describe('the store', () => {
  const shop = useShop();
  for (const [name, [path, reach]] of Object.entries(STATES)) audit(shop, name, path, reach);

  test('a wide window', async () => {
    const page = await shop.visit('/1', { viewport: { width: 1920, height: 1080 } });
    await STATES['a game'][1](page);
    await fitsTheWidth(page);
    await accessible(page);
  });

  test('nothing moves for those who do not want it', async () => {
    const page = await shop.visit('/', { reducedMotion: 'reduce' });
    await page.getByRole('link', { name: 'Stardew Valley' }).waitFor();
    const moving = await page.evaluate(() =>
      [...document.querySelectorAll('*')]
        .filter((element) => {
          const { animationName, transitionDuration } = getComputedStyle(element);
          return animationName !== 'none' || /[1-9]/.test(transitionDuration);
        })
        .map((element) => element.className),
    );
    assert.deepEqual(moving, []);
  });
});

describe('sister services down', () => {
  const shop = useShop(async () => {
    const url = await deadAddress();
    return ['--images-url', url, '--reviews-url', url];
  });
  audit(shop, 'a game', '/1', (page) => page.getByText('Not available right now.').waitFor());
  audit(shop, 'the catalogue', '/', (page) => page.getByText('SV', { exact: true }).waitFor());
});

describe('waiting', () => {
  let sister;
  const shop = useShop(async () => {
    sister = await startServer(hanging);
    return ['--images-url', sister.origin, '--reviews-url', sister.origin];
  });
  after(() => sister?.stop());
  // The page's own skeletons are over at once: hold the answer back on its way.
  for (const path of ['/', '/1']) {
    audit(shop, `the skeleton of ${path}`, '/portal', async (page) => {
      await page.route('**/api/overview**', () => {});
      if (path === '/') await page.getByRole('link', { name: 'To the catalogue' }).click();
      else {
        await page.getByLabel('Game number').fill('1');
        await page.getByLabel('Game number').press('Enter');
      }
      await page.getByRole('status').waitFor({ state: 'attached' });
    });
  }
  audit(shop, 'a game whose reviews are late', '/1', (page) => arrive(page, 'Stardew Valley'));
});

describe('the store down', () => {
  const shop = useShop();
  audit(shop, 'the notice', '/1', async (page) => {
    await arrive(page);
    await page.route('**/api/overview**', (route) => route.abort());
    await page.getByLabel('Game number').fill('2');
    await page.getByLabel('Game number').press('Enter');
    await arrive(page, 'The store cannot be reached');
  });
  audit(shop, 'the notice of an answer without sense', '/1', async (page) => {
    await arrive(page);
    await page.route('**/api/overview**', (route) => route.fulfill({ json: [{ game_id: 'x' }] }));
    await page.getByLabel('Game number').fill('2');
    await page.getByLabel('Game number').press('Enter');
    await arrive(page, 'The store is out of order');
  });
});
