import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { DESKTOP, PHONE } from '../support/browser.js';
import { assertAccessible, assertFitsWidth } from '../support/checks.js';
import { waitForHeading } from '../support/page.js';
import { useSite } from '../support/site.js';
import { hanging, startServer, unusedAddress } from '../support/upstream.js';

const NARROW = { width: 320, height: 640 };

/** Each state of the page: its path and how to reach it. */
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
  'an invalid game number': [
    '/1',
    async (page) => {
      await waitForHeading(page);
      await page.getByLabel('Game number').fill('portal');
      await page.getByLabel('Game number').press('Enter');
      await page.getByRole('alert').filter({ hasText: 'whole number' }).waitFor();
    },
  ],
  'an empty cart': ['/cart', (page) => waitForHeading(page, 'Your cart is empty')],
  'a cart without enough credit': ['/1', fillCart],
  'a paid and a refunded order': ['/1', buyTwice],
  'a missing game': ['/999999', (page) => waitForHeading(page, 'Game #999999 not found')],
  'an unknown page': ['/portal', (page) => waitForHeading(page, 'Page not found')],
};

async function fillCart(page) {
  await page.getByRole('button', { name: 'Add to cart' }).click();
  await page.getByRole('link', { name: 'View cart' }).click();
  await page.getByRole('button', { name: 'Check out' }).click();
  await page.getByText(/^You still need \d/).waitFor();
  await page.getByRole('link', { name: 'Stardew Valley' }).waitFor();
}

async function buyTwice(page) {
  await fillCart(page);
  await page.getByRole('button', { name: 'Add 5,000 credits' }).click();
  await page.getByText('You still need', { exact: true }).waitFor({ state: 'hidden' });
  await page.getByRole('button', { name: 'Check out' }).click();
  await page.getByRole('button', { name: 'Cancel order' }).click();
  await page.getByRole('button', { name: 'Yes, cancel it' }).click();
  await page.getByText('Cancelled and refunded').waitFor();
  await page.goto('/1');
  await page.getByRole('button', { name: 'Add to cart' }).click();
  await page.getByRole('link', { name: 'View cart' }).click();
  await page.getByRole('button', { name: 'Check out' }).click();
  await waitForHeading(page, 'Thank you!');
  await page.getByText('Cancelled and refunded').waitFor();
  await page.getByRole('button', { name: 'Cancel order' }).waitFor();
}

function checkState(site, name, path, reachState) {
  for (const viewport of [DESKTOP, PHONE, NARROW]) {
    test(`${name} at ${viewport.width} px`, async () => {
      const page = await site.openPage(path, { viewport });
      await reachState(page);
      await assertFitsWidth(page);
      await assertAccessible(page);
    });
  }
}

describe('the store', () => {
  const site = useSite();
  for (const [name, [path, reachState]] of Object.entries(STATES))
    checkState(site, name, path, reachState);

  test('a game in a wide window', async () => {
    const page = await site.openPage('/1', { viewport: { width: 1920, height: 1080 } });
    await STATES['a game'][1](page);
    await assertFitsWidth(page);
    await assertAccessible(page);
  });

  test('nothing is animated with reduced motion', async () => {
    const page = await site.openPage('/', { reducedMotion: 'reduce' });
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

describe('upstreams down', () => {
  const site = useSite(async () => {
    const url = await unusedAddress();
    return ['--images-url', url, '--reviews-url', url];
  });
  checkState(site, 'a game', '/1', (page) => page.getByText('Not available right now.').waitFor());
  checkState(site, 'the catalogue', '/', (page) => page.getByText('SV', { exact: true }).waitFor());
});

describe('loading', () => {
  let upstream;
  const site = useSite(async () => {
    upstream = await startServer(hanging);
    return ['--images-url', upstream.origin, '--reviews-url', upstream.origin];
  });
  after(() => upstream?.stop());
  // Responses are held back, because otherwise the skeletons disappear at once.
  for (const path of ['/', '/1']) {
    checkState(site, `the skeleton of ${path}`, '/portal', async (page) => {
      await page.route('**/api/overview**', () => {});
      if (path === '/') await page.getByRole('link', { name: 'Browse all games' }).click();
      else {
        await page.getByLabel('Game number').fill('1');
        await page.getByLabel('Game number').press('Enter');
      }
      await page.getByRole('status').waitFor({ state: 'attached' });
    });
  }
  checkState(site, 'a game whose reviews are loading', '/1', (page) =>
    waitForHeading(page, 'Stardew Valley'),
  );
});

describe('the store down', () => {
  const site = useSite();
  checkState(site, 'the error page', '/1', async (page) => {
    await waitForHeading(page);
    await page.route('**/api/overview**', (route) => route.abort());
    await page.getByLabel('Game number').fill('2');
    await page.getByLabel('Game number').press('Enter');
    await waitForHeading(page, 'The store cannot be reached');
  });
  checkState(site, 'the error page for a malformed response', '/1', async (page) => {
    await waitForHeading(page);
    await page.route('**/api/overview**', (route) => route.fulfill({ json: [{ game_id: 'x' }] }));
    await page.getByLabel('Game number').fill('2');
    await page.getByLabel('Game number').press('Enter');
    await waitForHeading(page, 'Something went wrong');
  });
});
