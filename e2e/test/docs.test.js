import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, fitsTheWidth } from '../support/audit.js';
import { DESK, PHONE } from '../support/browser.js';
import { arrive } from '../support/reading.js';
import { useShop } from '../support/shop.js';

const shop = useShop();
const operations = (page) => page.locator('.opblock');

test('the reference lists every route', async () => {
  const { paths } = await shop.store.get('/openapi.json');
  const listed = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) =>
        ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'].includes(method),
      )
      .map((method) => `${method.toUpperCase()} ${path}`),
  );
  const page = await shop.visit('/docs');
  await arrive(page, 'API reference');
  await operations(page).first().waitFor();
  const shown = await operations(page).evaluateAll((blocks) =>
    blocks.map((block) => {
      const method = block.querySelector('.opblock-summary-method').textContent;
      return `${method} ${block.querySelector('.opblock-summary-path').dataset.path}`;
    }),
  );
  assert.deepEqual(shown.toSorted(), listed.toSorted());
});

test('a route can be tried', async () => {
  const page = await shop.visit('/docs');
  const block = operations(page).filter({
    has: page.locator('[data-path="/api/overview/{game_id}"]'),
  });
  const get = block.filter({ has: page.locator('.opblock-summary-method', { hasText: 'GET' }) });
  await get.locator('.opblock-summary-control').click();
  await get.getByRole('button', { name: 'Try it out' }).click();
  await get.locator('tr[data-param-name=game_id] input').fill('1');
  await get.getByRole('button', { name: 'Execute' }).click();
  await get.locator('.live-responses-table').getByText('Stardew_Valley').waitFor();
});

for (const viewport of [DESK, PHONE]) {
  // The viewer is not ours: held to WCAG, not to every good habit.
  test(`the reference is accessible at ${viewport.width} px`, async () => {
    const page = await shop.visit('/docs', { viewport });
    await operations(page).first().waitFor();
    await fitsTheWidth(page);
    await accessible(page, { wcagOnly: true });
    for (const control of await page.locator('.opblock-summary-control').all())
      await control.click();
    await page.locator('.opblock.is-open .opblock-body').last().waitFor();
    await accessible(page, { wcagOnly: true });
  });
}

test('the way back to the store', async () => {
  const page = await shop.visit('/docs');
  await page.getByRole('link', { name: 'Catalogue' }).click();
  await arrive(page, 'Catalogue');
});
