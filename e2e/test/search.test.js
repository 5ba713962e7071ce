import assert from 'node:assert/strict';
import { test } from 'node:test';
import { waitForHeading, waitUntil } from '../support/page.js';
import { useSite } from '../support/site.js';

const site = useSite();
const field = (page) => page.getByLabel('Game number');

test('a game is found by its number', async () => {
  const [game] = await site.store.get('/api/overview/42');
  const page = await site.openPage('/');
  await field(page).fill(' 42 ');
  await field(page).press('Enter');
  await waitForHeading(page, game.game_name.replaceAll('_', ' '));
  assert.equal(new URL(page.url()).pathname, '/42');
  assert.equal(await field(page).inputValue(), '');
});

test('the button works like the Enter key', async () => {
  const page = await site.openPage('/7');
  await waitForHeading(page);
  await field(page).fill('1');
  await page.getByRole('button', { name: 'Go to game' }).click();
  await waitForHeading(page, 'Stardew Valley');
});

for (const [input, message] of [
  ['', /Enter a game number/],
  ['portal', /whole number/],
  ['4.2', /whole number/],
  ['1e3', /whole number/],
  ['99999999999', /2,147,483,647/],
]) {
  test(`"${input}" shows an error without leaving the page`, async () => {
    const page = await site.openPage('/1');
    await waitForHeading(page);
    await field(page).fill(input);
    await field(page).press('Enter');
    await page.getByRole('alert').filter({ hasText: message }).waitFor();
    await waitUntil(page, () => document.activeElement.getAttribute('aria-invalid') === 'true');
    assert.equal(new URL(page.url()).pathname, '/1');
    await field(page).fill('2');
    await page.getByRole('alert').filter({ hasText: message }).waitFor({ state: 'hidden' });
  });
}

test('a number without a game leads to the "not found" page', async () => {
  const page = await site.openPage('/');
  await field(page).fill('2147483647');
  await field(page).press('Enter');
  await waitForHeading(page, 'Game #2147483647 not found');
});
