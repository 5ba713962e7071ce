import { test } from 'node:test';
import { waitForHeading, waitUntil } from '../support/page.js';
import { useSite } from '../support/site.js';

const site = useSite();
const UNREACHABLE = 'The store cannot be reached';

test('the page recovers when the store is restarted', async () => {
  const page = await site.openPage('/');
  await page.getByRole('link', { name: 'Stardew Valley' }).waitFor();

  await site.store.kill();
  await page.getByRole('link', { name: 'Next' }).click();
  await waitForHeading(page, UNREACHABLE);
  await page.getByRole('button', { name: 'Try again' }).click();
  await waitForHeading(page, UNREACHABLE);
  await page.getByLabel('Game number').fill('500');
  await page.getByLabel('Game number').press('Enter');
  await waitUntil(page, () => location.pathname === '/500');
  await waitForHeading(page, UNREACHABLE);
  await page.getByRole('button', { name: 'Try again' }).focus();

  await site.store.restart();
  await page.keyboard.press('Enter');
  await waitForHeading(page);
  // The button no longer exists, so the focus must be on the content.
  await waitUntil(page, () => document.activeElement.id === 'main');
  await page.goBack();
  await page.getByText('Page 2').waitFor();
});

test('the retry button keeps the focus while it retries', async () => {
  const page = await site.openPage('/');
  await page.getByRole('link', { name: 'Stardew Valley' }).waitFor();
  await site.store.kill();
  await page.getByRole('link', { name: 'Next' }).click();
  const retry = page.getByRole('button', { name: 'Try again' });
  await retry.focus();
  await page.keyboard.press('Enter');
  await retry.waitFor();
  await waitUntil(page, () => document.activeElement.textContent === 'Try again');
  await site.store.restart();
  await page.keyboard.press('Enter');
  await page.getByText('Page 2').waitFor();
});
