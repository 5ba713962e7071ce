/** Using a page with the keyboard alone. */
import assert from 'node:assert/strict';
import { focusedName } from './page.js';

/** Presses Tab until the focused element's name matches. */
export async function tabTo(page, name) {
  const skipped = [];
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press('Tab');
    const here = (await focusedName(page)).replace(/\s+/g, ' ').trim();
    if (name.test(here)) return assertVisibleFocus(page);
    skipped.push(here);
  }
  assert.fail(`${name} is not reached; skipped ${skipped.join(' | ')}`);
}

/** The focus must be visible: an outline on the element, its card or its form. */
export async function assertVisibleFocus(page) {
  const outlined = await page.evaluate(() => {
    const hasOutline = (element) => {
      const { outlineStyle, outlineWidth } = getComputedStyle(element);
      return outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2;
    };
    const { activeElement: element } = document;
    return hasOutline(element) || hasOutline(element.closest('li, form, label') ?? element);
  });
  assert.ok(outlined, `no visible focus on ${await focusedName(page)}`);
}
