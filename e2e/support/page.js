/** Finding and waiting for what a user sees on a page. */
import assert from 'node:assert/strict';
import { TIMEOUT_MS } from './browser.js';

export function heading(page, name) {
  return page.getByRole('heading', { level: 1, name });
}

/** Waits for the page's main heading; without a name, for that of a game. */
export async function waitForHeading(page, name) {
  await (name ? heading(page, name) : page.locator('article h1')).waitFor();
}

/** The value beside a name in the list of facts. */
export function fact(page, name) {
  return page
    .locator('dl > div')
    .filter({ has: page.locator('dt', { hasText: name }) })
    .locator('dd');
}

/** The rendered text: without hidden parts, and with CSS text transformations. */
export async function visibleText(locator) {
  return (await locator.innerText()).trim();
}

/** Waits until the locator's visible text is exactly `expected`; checks once per frame. */
export async function waitForText(locator, expected) {
  await locator.waitFor();
  const deadline = Date.now() + TIMEOUT_MS;
  let text = await visibleText(locator);
  while (text !== expected && Date.now() < deadline) {
    await locator.page().evaluate(() => new Promise(requestAnimationFrame));
    text = await visibleText(locator);
  }
  assert.equal(text, expected);
}

/** Waits for a condition in the page. */
export function waitUntil(page, condition, argument) {
  return page.waitForFunction(condition, argument);
}

export function waitForTitle(page, title) {
  return waitUntil(page, (expected) => document.title === expected, title);
}

/** The approximate accessible name of the focused element. */
export function focusedName(page) {
  return page.evaluate(() => {
    const { activeElement: element } = document;
    return element?.getAttribute('aria-label') ?? element?.textContent?.trim() ?? '';
  });
}
