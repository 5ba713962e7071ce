/** Takes screenshots of the pages: `npm run screenshots -- OUTDIR`. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DESKTOP, launchBrowser, PHONE } from './support/browser.js';
import { startLab, startStorefront } from './support/storefront.js';

/** The path of each page, and a selector that matches once it is complete. */
const PAGES = {
  catalogue: ['/', 'main li img'],
  game: ['/1', '[data-reviews=all]'],
  missing: ['/999999', 'h1'],
  docs: ['/docs', '.opblock'],
};

/** Pays for one order and then fills the cart again. */
async function buyAndFillCart(page) {
  for (const games of [[3], [1, 1, 2]]) {
    for (const game of games) {
      await page.goto(`${store.origin}/${game}`);
      await page.getByRole('button', { name: 'Add to cart' }).click();
      await page.getByText('was added to your cart.').waitFor();
    }
    await page.goto(`${store.origin}/cart`, { waitUntil: 'networkidle' });
    if (games.length > 1) return;
    await page.getByRole('button', { name: 'Add 20,000 credits' }).click();
    await page.getByText('20,000 credits', { exact: true }).waitFor();
    await page.getByRole('button', { name: 'Check out' }).click();
    await page.getByRole('heading', { name: 'Thank you!' }).waitFor();
  }
}

/** Sends every example and opens the table that they make. */
async function sendExamples(page) {
  await page.goto(`${store.origin}/activities`);
  for (const example of ['Insert', 'Insert and delete', 'Invalid', 'Rejected later', 'Insert']) {
    await page.getByRole('button', { name: example, exact: true }).click();
    await page.getByRole('button', { name: 'Send', exact: true }).click();
    await page.getByText(/^(Applied after|Rejected: none|The message is invalid)/).waitFor();
    // A double click sends once: for a moment further clicks are ignored.
    await page.waitForTimeout(800);
  }
  await page.getByRole('button', { name: 'customers', exact: true }).click();
  await page.getByRole('table', { name: 'Rows of customers' }).waitFor();
}

/** Starts a short run of the lab, and waits for its end. */
async function runLab(page) {
  await page.goto(`${lab.origin}/`);
  await page.getByLabel(/^Seconds/).fill('8');
  // The databases of the run before may still be being reset.
  await page.getByText('resetting').first().waitFor({ state: 'hidden', timeout: 60_000 });
  await page.getByRole('button', { name: 'Start the run' }).click();
  await page.waitForURL('**/run/*', { timeout: 60_000 });
  const finished = page.locator('.badge', { hasText: 'Finished' });
  await finished.nth(2).waitFor({ timeout: 60_000 });
}

const target = process.argv[2];
if (target === undefined) {
  console.error('usage: npm run screenshots -- OUTDIR');
  process.exit(2);
}
// npm changes into this package's folder, so a relative path is resolved from where npm was called.
const folder = resolve(process.env.INIT_CWD ?? '.', target);
mkdirSync(folder, { recursive: true });

const store = await startStorefront();
const lab = await startLab();
const browser = await launchBrowser();
try {
  for (const viewport of [DESKTOP, PHONE]) {
    const context = await browser.newContext({ viewport });
    const page = await context.newPage();
    for (const [name, [path, selector]] of Object.entries(PAGES)) {
      await page.goto(`${store.origin}${path}`, { waitUntil: 'networkidle' });
      await page.locator(selector).first().waitFor();
      await page.screenshot({ path: join(folder, `${name}-${viewport.width}.png`) });
    }
    await buyAndFillCart(page);
    await page.screenshot({ path: join(folder, `cart-${viewport.width}.png`) });
    await sendExamples(page);
    await page.screenshot({
      path: join(folder, `activities-${viewport.width}.png`),
      fullPage: true,
    });
    await runLab(page);
    const path = join(folder, `lab-${viewport.width}.png`);
    await page.screenshot({ path, fullPage: true });
    await context.close();
  }
} finally {
  await browser.close();
  await lab.stop();
  await store.stop();
}
