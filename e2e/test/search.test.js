import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrive, until } from '../support/reading.js';
import { useShop } from '../support/shop.js';

const shop = useShop();
const field = (page) => page.getByLabel('Game number');

test('a game is found by its number', async () => {
  const [game] = await shop.store.get('/api/overview/42');
  const page = await shop.visit('/');
  await field(page).fill(' 42 ');
  await field(page).press('Enter');
  await arrive(page, game.game_name.replaceAll('_', ' '));
  assert.equal(new URL(page.url()).pathname, '/42');
  assert.equal(await field(page).inputValue(), '');
});

test('the button does the same', async () => {
  const page = await shop.visit('/7');
  await arrive(page);
  await field(page).fill('1');
  await page.getByRole('button', { name: 'Go to the game' }).click();
  await arrive(page, 'Stardew Valley');
});

for (const [input, complaint] of [
  ['', /Type a game number/],
  ['portal', /whole number/],
  ['4.2', /whole number/],
  ['1e3', /whole number/],
  ['99999999999', /2,147,483,647/],
]) {
  test(`"${input}" is answered in words, without leaving the page`, async () => {
    const page = await shop.visit('/1');
    await arrive(page);
    await field(page).fill(input);
    await field(page).press('Enter');
    await page.getByRole('alert').filter({ hasText: complaint }).waitFor();
    await until(page, () => document.activeElement.getAttribute('aria-invalid') === 'true');
    assert.equal(new URL(page.url()).pathname, '/1');
    await field(page).fill('2');
    await page.getByRole('alert').filter({ hasText: complaint }).waitFor({ state: 'hidden' });
  });
}

test('a number without a game leads to the page that says so', async () => {
  const page = await shop.visit('/');
  await field(page).fill('2147483647');
  await field(page).press('Enter');
  await arrive(page, 'There is no game number 2147483647');
});
