import { test } from 'node:test';
import { arrive, until } from '../support/reading.js';
import { useShop } from '../support/shop.js';

const shop = useShop();
const TROUBLE = 'The store cannot be reached';

test('a store that goes away and comes back', async () => {
  const page = await shop.visit('/');
  await page.getByRole('link', { name: 'Stardew Valley' }).waitFor();

  await shop.store.kill();
  await page.getByRole('link', { name: 'Next' }).click();
  await arrive(page, TROUBLE);
  await page.getByRole('button', { name: 'Try again' }).click();
  await arrive(page, TROUBLE);
  await page.getByLabel('Game number').fill('500');
  await page.getByLabel('Game number').press('Enter');
  await until(page, () => location.pathname === '/500');
  await arrive(page, TROUBLE);
  await page.getByRole('button', { name: 'Try again' }).focus();

  await shop.store.restart();
  await page.keyboard.press('Enter');
  await arrive(page);
  // The button is gone; the keyboard goes on from the content.
  await until(page, () => document.activeElement.id === 'main');
  await page.goBack();
  await page.getByText('Page 2').waitFor();
});

test('the button keeps the keyboard while it tries', async () => {
  const page = await shop.visit('/');
  await page.getByRole('link', { name: 'Stardew Valley' }).waitFor();
  await shop.store.kill();
  await page.getByRole('link', { name: 'Next' }).click();
  const retry = page.getByRole('button', { name: 'Try again' });
  await retry.focus();
  await page.keyboard.press('Enter');
  await retry.waitFor();
  await until(page, () => document.activeElement.textContent === 'Try again');
  await shop.store.restart();
  await page.keyboard.press('Enter');
  await page.getByText('Page 2').waitFor();
});
