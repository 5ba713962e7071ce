import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrive, heading, untilTitle } from '../support/reading.js';
import { useShop } from '../support/shop.js';

const shop = useShop();

const cards = (page) => page.getByRole('main').getByRole('listitem').getByRole('link');
const next = (page) => page.getByRole('link', { name: 'Next' });
const previous = (page) => page.getByRole('link', { name: 'Previous' });

async function names(page) {
  await cards(page).first().waitFor();
  return cards(page).allInnerTexts();
}

/** The names that the API has for this page of the catalogue. */
async function shelf(after) {
  const query = after === null ? '' : `&after=${encodeURIComponent(after)}`;
  const { overviews, next: cursor } = await shop.store.get(`/api/overview?limit=24${query}`);
  return { names: overviews.map((game) => game.game_name.replaceAll('_', ' ')), next: cursor };
}

test('the catalogue is leafed through, forward and back, and survives a reload', async () => {
  const first = await shelf(null);
  const second = await shelf(first.next);
  const third = await shelf(second.next);
  const page = await shop.visit('/');
  await arrive(page, 'Catalogue');
  assert.deepEqual(await names(page), first.names);

  await next(page).click();
  await untilTitle(page, 'Catalogue, page 2 · Storefront');
  assert.deepEqual(await names(page), second.names);
  await next(page).click();
  await untilTitle(page, 'Catalogue, page 3 · Storefront');
  assert.deepEqual(await names(page), third.names);

  await page.reload();
  await untilTitle(page, 'Catalogue, page 3 · Storefront');
  assert.deepEqual(await names(page), third.names);
  await page.goBack();
  await untilTitle(page, 'Catalogue, page 2 · Storefront');
  assert.deepEqual(await names(page), second.names);
  await page.goForward();
  await untilTitle(page, 'Catalogue, page 3 · Storefront');
  assert.deepEqual(await names(page), third.names);

  await previous(page).click();
  await untilTitle(page, 'Catalogue, page 2 · Storefront');
  await previous(page).click();
  await untilTitle(page, 'Catalogue · Storefront');
  assert.equal(new URL(page.url()).search, '');
  assert.deepEqual(await names(page), first.names);
});

test('a page of the catalogue can be opened by its address', async () => {
  const first = await shelf(null);
  const page = await shop.visit(`/?after=${encodeURIComponent(first.next)}`);
  assert.deepEqual(await names(page), (await shelf(first.next)).names);
  await page.getByRole('link', { name: 'First page' }).click();
  await untilTitle(page, 'Catalogue · Storefront');
  assert.deepEqual(await names(page), first.names);
});

test('the last page says that it is the last', async () => {
  const page = await shop.visit(`/?after=${encodeURIComponent(await lastCursor())}`);
  await cards(page).first().waitFor();
  await page.getByText('The end').waitFor();
  assert.equal(await next(page).count(), 0);
});

async function lastCursor() {
  let cursor = (await shelf(null)).next;
  for (let after = cursor; after !== null; after = (await shelf(after)).next) cursor = after;
  return cursor;
}

test('a card leads to its game, and back leads to the shelf', async () => {
  const page = await shop.visit('/');
  await next(page).click();
  await untilTitle(page, 'Catalogue, page 2 · Storefront');
  const name = (await names(page))[4];
  await cards(page).nth(4).click();
  await arrive(page, name);
  await page.goBack();
  await heading(page, 'Catalogue').waitFor();
  await untilTitle(page, 'Catalogue, page 2 · Storefront');
});

test('banners come as their cards come near', async () => {
  const page = await shop.visit('/');
  const last = page.getByRole('main').getByRole('listitem').last();
  assert.equal(await last.locator('img').count(), 0);
  await last.scrollIntoViewIfNeeded();
  await last.locator('img').waitFor();
});

test('a cursor that the store does not know is no blank page', async () => {
  const page = await shop.visit('/?after=no-such-cursor');
  await arrive(page, 'The store does not know this place');
  await page.getByRole('link', { name: 'First page' }).click();
  await cards(page).first().waitFor();
});
