import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DESKTOP, PHONE } from '../support/browser.js';
import { assertAccessible, assertFitsWidth } from '../support/checks.js';
import { waitForHeading } from '../support/page.js';
import { useSite } from '../support/site.js';

const site = useSite();
const operations = (page) => page.locator('.opblock');

test('the reference lists every route', async () => {
  const { paths } = await site.store.get('/openapi.json');
  const listed = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) =>
        ['get', 'put', 'post', 'delete', 'patch', 'head', 'options'].includes(method),
      )
      .map((method) => `${method.toUpperCase()} ${path}`),
  );
  const page = await site.openPage('/docs');
  await waitForHeading(page, 'API reference');
  await operations(page).first().waitFor();
  const shown = await operations(page).evaluateAll((blocks) =>
    blocks.map((block) => {
      const method = block.querySelector('.opblock-summary-method').textContent;
      return `${method} ${block.querySelector('.opblock-summary-path').dataset.path}`;
    }),
  );
  assert.deepEqual(shown.toSorted(), listed.toSorted());
});

test('a route can be tried out', async () => {
  const page = await site.openPage('/docs');
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

for (const viewport of [DESKTOP, PHONE]) {
  // A third-party viewer: only the WCAG rules apply, not all best practices.
  test(`the reference is accessible at ${viewport.width} px`, async () => {
    const page = await site.openPage('/docs', { viewport });
    await operations(page).first().waitFor();
    await assertFitsWidth(page);
    await assertAccessible(page, { wcagOnly: true });
    // One of each method: all are made of the same parts, and axe takes minutes for dozens of open ones.
    for (const method of ['get', 'post', 'put', 'delete'])
      await page.locator(`.opblock-${method} .opblock-summary-control`).first().click();
    await page.locator('.opblock.is-open .opblock-body').last().waitFor();
    await assertAccessible(page, { wcagOnly: true });
  });
}

test('a link leads back to the store', async () => {
  const page = await site.openPage('/docs');
  await page.getByRole('link', { name: 'Catalogue' }).click();
  await waitForHeading(page, 'Catalogue');
});
