import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PHONE } from '../support/browser.js';
import { fact, visibleText, waitForHeading, waitForText, waitUntil } from '../support/page.js';
import { useSite } from '../support/site.js';

const site = useSite();

test('a game’s page shows all data of the store', async () => {
  const [game] = await site.store.get('/api/overview/1');
  const page = await site.openPage('/1');
  await waitForHeading(page, 'Stardew Valley');
  assert.equal(await page.title(), 'Stardew Valley · Storefront');
  await page.getByText(game.description.trim(), { exact: true }).waitFor();
  await waitForText(fact(page, 'Release date'), game.release_date.slice(0, 10));
  await waitForText(fact(page, 'Developer'), game.developer);
  await waitForText(fact(page, 'Publisher'), game.publisher);
  await page.getByRole('img', { name: 'Banner of Stardew Valley' }).waitFor();
  await waitUntil(page, () => document.querySelector('article img').naturalWidth > 0);
});

test('a trailing slash shows the same page', async () => {
  const page = await site.openPage('/1/');
  await waitForHeading(page, 'Stardew Valley');
});

test('every tag can be shown', async () => {
  const [game] = await site.store.get('/api/overview/1');
  const page = await site.openPage('/1', { viewport: { width: 320, height: 800 } });
  await waitForHeading(page);
  const more = page.getByRole('button', { name: /more tags?/ });
  if (game.tags.length > 6) await more.waitFor();
  if (await more.isVisible()) await more.click();
  const tags = page.locator('article ul li:not(:has(button))');
  assert.deepEqual(await tags.allInnerTexts(), game.tags);
  for (const tag of await tags.all()) assert.ok(await tag.isVisible());
});

test('the tooltip of a sentiment opens by mouse, keyboard and touch', async () => {
  const explained = /^(\d+% of the [\d,]+ user reviews .+ are positive\.|The only user review .+)$/;
  const page = await site.openPage('/1', { hasTouch: true });
  await waitForHeading(page);
  const sentiment = page.locator('[data-reviews=all] button');
  const tip = page.locator('[data-reviews=all]').getByRole('tooltip');

  await sentiment.hover();
  await tip.waitFor();
  assert.match(await visibleText(tip), explained);
  await page.mouse.move(0, 0);
  await tip.waitFor({ state: 'hidden' });

  await sentiment.focus();
  await tip.waitFor();
  await page.keyboard.press('Escape');
  await tip.waitFor({ state: 'hidden' });
  await sentiment.blur();

  await sentiment.tap();
  await tip.waitFor();
});

test('an open tooltip stays inside a narrow window', async () => {
  const page = await site.openPage('/1', { viewport: { ...PHONE, width: 320 } });
  await waitForHeading(page);
  await page.locator('[data-reviews=all] button').focus();
  const box = await page.getByRole('tooltip').boundingBox();
  assert.ok(box.x >= 0 && box.x + box.width <= 320, JSON.stringify(box));
});

test('a changed game is shown after a reload', async () => {
  const page = await site.openPage('/3');
  await waitForHeading(page);
  await fetch(`${site.store.origin}/api/overview/3`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      game_name: '<b>A_&_B</b>',
      release_date: 'soon, they say',
      tags: ['x'.repeat(80), 'y'],
      description: `${'long'.repeat(200)}\nsecond line`,
    }),
  });
  await page.reload();
  await waitForHeading(page, '<b>A & B</b>');
  await waitForText(fact(page, 'Release date'), 'soon, they');
  await page.getByText('second line').waitFor();
});
