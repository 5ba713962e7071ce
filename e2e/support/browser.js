/** A real Chromium whose pages may send requests to allowed origins only. */
import assert from 'node:assert/strict';
import { after, afterEach, before } from 'node:test';
import { chromium } from 'playwright-core';
import { removeFolder, temporaryFolder } from './cleanup.js';

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Generous, for a debug build on a busy machine. */
export const TIMEOUT_MS = 15_000;

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { width: 390, height: 844 };

export async function launchBrowser() {
  // Chromium also writes to its home and temporary folders, so it gets its own.
  const home = temporaryFolder('browser');
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: FLAGS,
    env: { ...process.env, HOME: home, TMPDIR: home, XDG_CONFIG_HOME: home, XDG_CACHE_HOME: home },
  });
  return {
    newContext: (options) => browser.newContext(options),
    close: async () => {
      await browser.close();
      removeFolder(home);
    },
  };
}

/**
 * A browser for the tests of one file; call it at the top of the file. `open(url)` opens a page in a
 * new profile. After each test all pages are closed, and must not have requested other origins.
 */
export function useBrowser() {
  let browser;
  let openPages = [];
  before(async () => {
    browser = await launchBrowser();
  });
  afterEach(async () => {
    const pages = openPages;
    openPages = [];
    await Promise.all(pages.map(({ context }) => context.close()));
    for (const { foreignRequests } of pages) assert.deepEqual(foreignRequests, []);
  });
  after(() => browser?.close());

  return {
    /** `allowed`: further origins that the page may request. */
    async open(url, { viewport = DESKTOP, allowed = [], ...options } = {}) {
      const baseURL = new URL(url).origin;
      const context = await browser.newContext({ viewport, baseURL, ...options });
      const origins = new Set([new URL(url).origin, ...allowed]);
      const foreignRequests = [];
      openPages.push({ context, foreignRequests });
      context.setDefaultTimeout(TIMEOUT_MS);
      context.on('request', (request) => {
        const target = new URL(request.url());
        if (target.protocol.startsWith('http') && !origins.has(target.origin)) {
          foreignRequests.push(request.url());
        }
      });
      const page = await context.newPage();
      await page.goto(url);
      return page;
    },
  };
}
