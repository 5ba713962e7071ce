import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrive, untilTitle } from '../support/reading.js';
import { useShop } from '../support/shop.js';

const shop = useShop();

test('a number without a game', async () => {
  const page = await shop.visit('/999999');
  await arrive(page, 'There is no game number 999999');
  assert.equal(await page.title(), 'No such game · Storefront');
  await page.getByRole('link', { name: 'To the catalogue' }).click();
  await arrive(page, 'Catalogue');
});

for (const path of ['/portal', '/1.5', '/99999999999', '/%F0%9F%8E%AE']) {
  test(`${path} is no game number, and nobody is asked for it`, async () => {
    const page = await shop.visit(path);
    await arrive(page, 'That is no game number');
    await untilTitle(page, 'No such game · Storefront');
    const asked = await page.evaluate(() =>
      performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname),
    );
    assert.deepEqual(
      asked.filter((name) => name.startsWith('/api/')),
      [],
    );
  });
}

test('a game that is removed while it is shown is missing after a reload', async () => {
  const page = await shop.visit('/9');
  await arrive(page);
  await fetch(`${shop.store.origin}/api/overview/9`, { method: 'DELETE' });
  await page.reload();
  await arrive(page, 'There is no game number 9');
});
