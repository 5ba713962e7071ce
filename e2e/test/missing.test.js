import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitForHeading, waitForTitle } from '../support/page.js';
import { useSite } from '../support/site.js';

const site = useSite();

test('a number without a game shows a message', async () => {
  const page = await site.openPage('/999999');
  await waitForHeading(page, 'Game #999999 not found');
  assert.equal(await page.title(), 'Game not found · Storefront');
  await page.getByRole('link', { name: 'Browse all games' }).click();
  await waitForHeading(page, 'Catalogue');
});

for (const path of ['/portal', '/1.5', '/99999999999', '/%F0%9F%8E%AE']) {
  test(`${path} is not a page, and the API is not requested`, async () => {
    const page = await site.openPage(path);
    await waitForHeading(page, 'Page not found');
    await waitForTitle(page, 'Page not found · Storefront');
    const requested = await page.evaluate(() =>
      performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname),
    );
    assert.deepEqual(
      requested.filter((name) => name.startsWith('/api/')),
      [],
    );
  });
}

test('a game removed while it is shown is missing after a reload', async () => {
  const page = await site.openPage('/9');
  await waitForHeading(page);
  await fetch(`${site.store.origin}/api/overview/9`, { method: 'DELETE' });
  await page.reload();
  await waitForHeading(page, 'Game #9 not found');
});
