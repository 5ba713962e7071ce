/** Writes pictures of the pages: `npm run screenshots -- OUTDIR`. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { DESK, launchBrowser, PHONE } from './support/browser.js';
import { startStorefront } from './support/storefront.js';

const PAGES = {
  catalogue: ['/', 'main li img'],
  game: ['/1', '[data-reviews=all]'],
  missing: ['/999999', 'h1'],
  docs: ['/docs', '.opblock'],
};

const target = process.argv[2];
if (target === undefined) {
  console.error('usage: npm run screenshots -- OUTDIR');
  process.exit(2);
}
// npm changes into this package's folder; the path is meant from where npm was called.
const folder = resolve(process.env.INIT_CWD ?? '.', target);
mkdirSync(folder, { recursive: true });

const store = await startStorefront();
const browser = await launchBrowser();
try {
  for (const viewport of [DESK, PHONE]) {
    const context = await browser.newContext({ viewport });
    const page = await context.newPage();
    for (const [name, [path, sign]] of Object.entries(PAGES)) {
      await page.goto(`${store.origin}${path}`, { waitUntil: 'networkidle' });
      await page.locator(sign).first().waitFor();
      await page.screenshot({ path: join(folder, `${name}-${viewport.width}.png`) });
    }
    await context.close();
  }
} finally {
  await browser.close();
  await store.stop();
}
