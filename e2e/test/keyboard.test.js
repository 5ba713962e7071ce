import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrive, focused, until, untilTitle } from '../support/reading.js';
import { useShop } from '../support/shop.js';

const shop = useShop();

/** Tabs on until the focus is on what `name` matches. */
async function tabTo(page, name) {
  const passed = [];
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab');
    const here = (await focused(page)).replace(/\s+/g, ' ').trim();
    if (name.test(here)) return visiblyFocused(page);
    passed.push(here);
  }
  assert.fail(`${name} is not reached; passed ${passed.join(' | ')}`);
}

/** The focus must be seen: an outline on the element, or on the card or field that it is part of. */
async function visiblyFocused(page) {
  const outlined = await page.evaluate(() => {
    const seen = (element) => {
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      return outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2;
    };
    const { activeElement: element } = document;
    return seen(element) || seen(element.closest('li, form') ?? element);
  });
  assert.ok(outlined, `no visible focus on ${await focused(page)}`);
}

test('the store is walked with the keyboard alone', async () => {
  const page = await shop.visit('/');
  await page.getByRole('link', { name: 'Stardew Valley' }).waitFor();

  await tabTo(page, /^Skip to the content$/);
  await page.keyboard.press('Enter');
  await tabTo(page, /^Stardew Valley$/);
  await page.keyboard.press('Enter');
  await arrive(page, 'Stardew Valley');
  await until(page, () => document.activeElement.id === 'main');

  await page.locator('[data-reviews=all]').waitFor();
  await tabTo(page, /^Catalogue$/);
  await tabTo(page, /(Positive|Negative)$/);
  await page.getByRole('tooltip').waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('tooltip').waitFor({ state: 'hidden' });

  // Alt+Left belongs to the browser's frame, which a driven browser lacks.
  await page.goBack();
  await arrive(page, 'Catalogue');
  await until(page, () => document.activeElement.id === 'main');
  await tabTo(page, /^Next/);
  await page.keyboard.press('Enter');
  await untilTitle(page, 'Catalogue, page 2 · Storefront');
  await tabTo(page, /^. Previous$/);
});

test('a game is bought with the keyboard alone', async () => {
  const page = await shop.visit('/1');
  await page.getByRole('button', { name: 'Add to cart' }).waitFor();
  await tabTo(page, /^Add to cart$/);
  await page.keyboard.press('Enter');
  await page.getByText('Stardew Valley is in your cart.').waitFor();
  await tabTo(page, /^1 in your cart$/);
  await page.keyboard.press('Enter');
  await arrive(page, 'Cart');
  await page.getByText('Total of 1 game').waitFor();
  await tabTo(page, /^Add 5,000 credits$/);
  await page.keyboard.press('Enter');
  await page.getByText('5,000 credits', { exact: true }).waitFor();
  await tabTo(page, /^Check out$/);
  await page.keyboard.press('Enter');
  await arrive(page, 'Thank you!');
  await until(page, () => document.activeElement.id === 'main');
  await tabTo(page, /^Cancel order$/);
  await page.keyboard.press('Enter');
  await until(page, () => document.activeElement.textContent === 'Yes, refund it');
  await page.keyboard.press('Enter');
  await page.getByText('Cancelled and refunded').waitFor();
});

test('the header is walked in the order it is read', async () => {
  const page = await shop.visit('/1');
  await arrive(page, 'Stardew Valley');
  const order = [
    /^Skip to/,
    /^Storefront$/,
    /^Catalogue$/,
    /^API$/,
    /^$/,
    /^Go to the game$/,
    /^Cart$/,
    /^Catalogue$/,
  ];
  for (const name of order) {
    await page.keyboard.press('Tab');
    assert.match(await focused(page), name);
    await visiblyFocused(page);
  }
});

test('hidden tags are opened and closed with the keyboard', async () => {
  await fetch(`${shop.store.origin}/api/overview/2`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ tags: Array.from({ length: 30 }, (_, n) => `Some tag ${n}`) }),
  });
  const page = await shop.visit('/2');
  await arrive(page);
  await tabTo(page, /^Show \d+ more tags$/);
  await page.keyboard.press('Enter');
  await page.getByText('Some tag 29').waitFor();
  assert.equal(await focused(page), 'Show fewer tags');
  await page.keyboard.press('Enter');
  await page.getByText('Some tag 29').waitFor({ state: 'hidden' });
});
