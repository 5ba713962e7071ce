import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { fact, waitForHeading, waitForText } from '../support/page.js';
import { useSite } from '../support/site.js';
import { failing, hanging, json, startServer, unusedAddress } from '../support/upstream.js';

const upstreams = [];
after(() => Promise.all(upstreams.map((server) => server.stop())));

async function startUpstream(handler) {
  const server = await startServer(handler);
  upstreams.push(server);
  return server.origin;
}

for (const [failure, address] of Object.entries({
  'connection refused': unusedAddress,
  'status 500': () => startUpstream(failing),
  'no response': () => startUpstream(hanging),
  'malformed response': () => startUpstream(json({ nonsense: true })),
})) {
  describe(`upstreams down: ${failure}`, () => {
    const site = useSite(async () => {
      const url = await address();
      return ['--images-url', url, '--reviews-url', url];
    });

    test('the game’s page works without them', async () => {
      const [game] = await site.store.get('/api/overview/1');
      const page = await site.openPage('/1');
      await waitForHeading(page, 'Stardew Valley');
      await waitForText(fact(page, 'Publisher'), game.publisher);
      await page.getByRole('img', { name: 'Banner of Stardew Valley (no image)' }).waitFor();
      await page.getByText('Not available right now.').waitFor();
      await page.getByRole('button', { name: 'Try again' }).waitFor();
    });

    test('the catalogue works without them', async () => {
      const page = await site.openPage('/');
      await page.getByRole('link', { name: 'Stardew Valley' }).waitFor();
      await page.locator('main li:first-child', { hasText: 'SV' }).waitFor();
      await page.getByRole('link', { name: 'Next' }).click();
      await page.getByText('Page 2').waitFor();
    });
  });
}

describe('an image that cannot be loaded', () => {
  const site = useSite(async () => [
    '--images-url',
    await startUpstream(json('/no/such/picture.png')),
  ]);

  test('is replaced by a placeholder', async () => {
    const page = await site.openPage('/1');
    await page.getByRole('img', { name: /no image/ }).waitFor();
    await page.locator('[data-reviews=all]').waitFor();
  });
});

describe('reviews that become available', () => {
  let broken = true;
  const site = useSite(async () => [
    '--reviews-url',
    await startUpstream((request, response) => (broken ? failing : json([]))(request, response)),
  ]);

  test('are shown after a retry', async () => {
    const page = await site.openPage('/1');
    await page.getByText('Not available right now.').waitFor();
    broken = false;
    await page.getByRole('button', { name: 'Try again' }).click();
    await waitForText(fact(page, 'All reviews'), 'No user reviews');
    assert.equal(await page.getByText('Not available right now.').count(), 0);
  });
});
