import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitForHeading, waitForTitle } from '../support/page.js';
import { useSite } from '../support/site.js';

const site = useSite();

test('a number without a game', async () => {
  const page = await site.openPage('/999999');
  await waitForHeading(page, 'There is no game number 999999');
  assert.equal(await page.title(), 'No such game · Storefront');
  await page.getByRole('link', { name: 'To the catalogue' }).click();
  await waitForHeading(page, 'Catalogue');
});

for (const path of ['/portal', '/1.5', '/99999999999', '/%F0%9F%8E%AE']) {
  test(`${path} is no game number, and nobody is asked for it`, async () => {
    const page = await site.openPage(path);
    await waitForHeading(page, 'That is no game number');
    await waitForTitle(page, 'No such game · Storefront');
    const requested = await page.evaluate(() =>
      performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname),
    );
    assert.deepEqual(
      requested.filter((name) => name.startsWith('/api/')),
      [],
    );
  });
}

test('a game that is removed while it is shown is missing after a reload', async () => {
  const page = await site.openPage('/9');
  await waitForHeading(page);
  await fetch(`${site.store.origin}/api/overview/9`, { method: 'DELETE' });
  await page.reload();
  await waitForHeading(page, 'There is no game number 9');
});
