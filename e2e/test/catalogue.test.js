import assert from 'node:assert/strict';
import { test } from 'node:test';
import { heading, waitForHeading, waitForTitle } from '../support/page.js';
import { useSite } from '../support/site.js';

const site = useSite();

const cards = (page) => page.getByRole('main').getByRole('listitem').getByRole('link');
const next = (page) => page.getByRole('link', { name: 'Next' });
const previous = (page) => page.getByRole('link', { name: 'Previous' });

async function names(page) {
  await cards(page).first().waitFor();
  return cards(page).allInnerTexts();
}

/** The names on this page of the catalogue according to the API. */
async function catalogueAt(after) {
  const query = after === null ? '' : `&after=${encodeURIComponent(after)}`;
  const { overviews, next: cursor } = await site.store.get(`/api/overview?limit=24${query}`);
  return { names: overviews.map((game) => game.game_name.replaceAll('_', ' ')), next: cursor };
}

test('paging forward and back works, also after a reload', async () => {
  const first = await catalogueAt(null);
  const second = await catalogueAt(first.next);
  const third = await catalogueAt(second.next);
  const page = await site.openPage('/');
  await waitForHeading(page, 'Catalogue');
  assert.deepEqual(await names(page), first.names);

  await next(page).click();
  await waitForTitle(page, 'Catalogue, page 2 · Storefront');
  assert.deepEqual(await names(page), second.names);
  await next(page).click();
  await waitForTitle(page, 'Catalogue, page 3 · Storefront');
  assert.deepEqual(await names(page), third.names);

  await page.reload();
  await waitForTitle(page, 'Catalogue, page 3 · Storefront');
  assert.deepEqual(await names(page), third.names);
  await page.goBack();
  await waitForTitle(page, 'Catalogue, page 2 · Storefront');
  assert.deepEqual(await names(page), second.names);
  await page.goForward();
  await waitForTitle(page, 'Catalogue, page 3 · Storefront');
  assert.deepEqual(await names(page), third.names);

  await previous(page).click();
  await waitForTitle(page, 'Catalogue, page 2 · Storefront');
  await previous(page).click();
  await waitForTitle(page, 'Catalogue · Storefront');
  assert.equal(new URL(page.url()).search, '');
  assert.deepEqual(await names(page), first.names);
});

test('a page of the catalogue can be opened by its URL', async () => {
  const first = await catalogueAt(null);
  const page = await site.openPage(`/?after=${encodeURIComponent(first.next)}`);
  assert.deepEqual(await names(page), (await catalogueAt(first.next)).names);
  await page.getByRole('link', { name: 'First page' }).click();
  await waitForTitle(page, 'Catalogue · Storefront');
  assert.deepEqual(await names(page), first.names);
});

test('the last page is marked as the last', async () => {
  const page = await site.openPage(`/?after=${encodeURIComponent(await lastCursor())}`);
  await cards(page).first().waitFor();
  await page.getByText('Last page').waitFor();
  assert.equal(await next(page).count(), 0);
});

async function lastCursor() {
  let cursor = (await catalogueAt(null)).next;
  for (let after = cursor; after !== null; after = (await catalogueAt(after)).next) cursor = after;
  return cursor;
}

test('a card leads to its game, and going back leads to the same page', async () => {
  const page = await site.openPage('/');
  await next(page).click();
  await waitForTitle(page, 'Catalogue, page 2 · Storefront');
  const name = (await names(page))[4];
  await cards(page).nth(4).click();
  await waitForHeading(page, name);
  await page.goBack();
  await heading(page, 'Catalogue').waitFor();
  await waitForTitle(page, 'Catalogue, page 2 · Storefront');
});

test('banners load when their cards are near the viewport', async () => {
  const page = await site.openPage('/');
  const last = page.getByRole('main').getByRole('listitem').last();
  assert.equal(await last.locator('img').count(), 0);
  await last.scrollIntoViewIfNeeded();
  await last.locator('img').waitFor();
});

test('an invalid cursor shows an error page', async () => {
  const page = await site.openPage('/?after=no-such-cursor');
  await waitForHeading(page, 'Page not found');
  assert.equal(await page.getByRole('button', { name: 'Try again' }).count(), 0);
  await page.getByRole('link', { name: 'First page' }).click();
  await cards(page).first().waitFor();
});
