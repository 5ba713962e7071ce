import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { arrive, fact, shows } from '../support/reading.js';
import { useShop } from '../support/shop.js';
import { deadAddress, failing, hanging, json, startServer } from '../support/sister.js';

const standing = [];
after(() => Promise.all(standing.map((server) => server.stop())));

async function sister(handler) {
  const server = await startServer(handler);
  standing.push(server);
  return server.origin;
}

for (const [trouble, address] of Object.entries({
  'nobody listens': deadAddress,
  'they fail': () => sister(failing),
  'they never answer': () => sister(hanging),
  'they answer nonsense': () => sister(json({ nonsense: true })),
})) {
  describe(`with sister services down (${trouble})`, () => {
    const shop = useShop(async () => {
      const url = await address();
      return ['--images-url', url, '--reviews-url', url];
    });

    test('the game’s page does without them', async () => {
      const [game] = await shop.store.get('/api/overview/1');
      const page = await shop.visit('/1');
      await arrive(page, 'Stardew Valley');
      await shows(fact(page, 'Publisher'), game.publisher);
      await page.getByRole('img', { name: 'Banner of Stardew Valley (no picture)' }).waitFor();
      await page.getByText('Not available right now.').waitFor();
      await page.getByRole('button', { name: 'Try again' }).waitFor();
    });

    test('the catalogue does too', async () => {
      const page = await shop.visit('/');
      await page.getByRole('link', { name: 'Stardew Valley' }).waitFor();
      await page.locator('main li:first-child', { hasText: 'SV' }).waitFor();
      await page.getByRole('link', { name: 'Next' }).click();
      await page.getByText('Page 2').waitFor();
    });
  });
}

describe('a picture that cannot be loaded', () => {
  const shop = useShop(async () => ['--images-url', await sister(json('/no/such/picture.png'))]);

  test('is replaced too', async () => {
    const page = await shop.visit('/1');
    await page.getByRole('img', { name: /no picture/ }).waitFor();
    await page.locator('[data-reviews=all]').waitFor();
  });
});

describe('reviews that come back', () => {
  let broken = true;
  const shop = useShop(async () => [
    '--reviews-url',
    await sister((request, response) => (broken ? failing : json([]))(request, response)),
  ]);

  test('are shown on the next try', async () => {
    const page = await shop.visit('/1');
    await page.getByText('Not available right now.').waitFor();
    broken = false;
    await page.getByRole('button', { name: 'Try again' }).click();
    await shows(fact(page, 'All reviews'), 'No user reviews');
    assert.equal(await page.getByText('Not available right now.').count(), 0);
  });
});
