import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertVisibleFocus, tabTo } from '../support/keyboard.js';
import { focusedName, waitForHeading, waitForTitle, waitUntil } from '../support/page.js';
import { useSite } from '../support/site.js';

const site = useSite();

test('the store can be browsed with the keyboard alone', async () => {
  const page = await site.openPage('/');
  await page.getByRole('link', { name: 'Stardew Valley' }).waitFor();

  await tabTo(page, /^Skip to content$/);
  await page.keyboard.press('Enter');
  await tabTo(page, /^Stardew Valley$/);
  await page.keyboard.press('Enter');
  await waitForHeading(page, 'Stardew Valley');
  await waitUntil(page, () => document.activeElement.id === 'main');

  await page.locator('[data-reviews=all]').waitFor();
  await tabTo(page, /^Catalogue$/);
  await tabTo(page, /(Positive|Negative)$/);
  await page.getByRole('tooltip').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('tooltip').waitFor({ state: 'hidden' });

  // Not Alt+Left, which is handled by browser UI that a headless browser lacks.
  await page.goBack();
  await waitForHeading(page, 'Catalogue');
  await waitUntil(page, () => document.activeElement.id === 'main');
  await tabTo(page, /^Next/);
  await page.keyboard.press('Enter');
  await waitForTitle(page, 'Catalogue, page 2 · Storefront');
  // Each Tab that is pressed before the games are there is lost.
  await page.getByRole('link', { name: 'Previous' }).waitFor();
  await tabTo(page, /^. Previous$/);
});

test('a game can be bought with the keyboard alone', async () => {
  const page = await site.openPage('/1');
  await page.getByRole('button', { name: 'Add to cart' }).waitFor();
  await tabTo(page, /^Add to cart$/);
  await page.keyboard.press('Enter');
  await page.getByText('Stardew Valley was added to your cart.').waitFor();
  await tabTo(page, /^1 in your cart$/);
  await page.keyboard.press('Enter');
  await waitForHeading(page, 'Cart');
  await page.getByText('Total (1 game)').waitFor();
  await tabTo(page, /^Add 5,000 credits$/);
  await page.keyboard.press('Enter');
  await page.getByText('5,000 credits', { exact: true }).waitFor();
  await tabTo(page, /^Check out$/);
  await page.keyboard.press('Enter');
  await waitForHeading(page, 'Thank you!');
  await waitUntil(page, () => document.activeElement.id === 'main');
  await tabTo(page, /^Cancel order$/);
  await page.keyboard.press('Enter');
  await waitUntil(page, () => document.activeElement.textContent === 'Yes, cancel it');
  await page.keyboard.press('Enter');
  await page.getByText('Cancelled and refunded').waitFor();
});

test('the header’s focus order is its reading order', async () => {
  const page = await site.openPage('/1');
  await waitForHeading(page, 'Stardew Valley');
  const order = [
    /^Skip to/,
    /^Storefront$/,
    /^Catalogue$/,
    /^Activities$/,
    /^API$/,
    /^$/,
    /^Go to game$/,
    /^Cart$/,
    /^Catalogue$/,
  ];
  for (const name of order) {
    await page.keyboard.press('Tab');
    assert.match(await focusedName(page), name);
    await assertVisibleFocus(page);
  }
});

test('hidden tags can be shown and hidden with the keyboard', async () => {
  await fetch(`${site.store.origin}/api/overview/2`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ tags: Array.from({ length: 30 }, (_, n) => `Some tag ${n}`) }),
  });
  const page = await site.openPage('/2');
  await waitForHeading(page);
  await tabTo(page, /^Show \d+ more tags$/);
  await page.keyboard.press('Enter');
  await page.getByText('Some tag 29').waitFor();
  assert.equal(await focusedName(page), 'Show fewer tags');
  await page.keyboard.press('Enter');
  await page.getByText('Some tag 29').waitFor({ state: 'hidden' });
});
