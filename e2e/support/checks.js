/** Accessibility and layout checks for every state of every page. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const WCAG = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];

/** No violation of any axe rule; with `wcagOnly`, of the WCAG A and AA rules. */
export async function assertAccessible(page, { wcagOnly = false } = {}) {
  await page.evaluate(AXE);
  // Colours in the middle of a transition have another contrast than the page.
  await page.evaluate(() => {
    const transitions = document.getAnimations().filter((one) => one instanceof CSSTransition);
    return Promise.allSettled(transitions.map(({ finished }) => finished));
  });
  const violations = await page.evaluate(
    async (tags) => {
      const options = tags ? { runOnly: { type: 'tag', values: tags } } : {};
      const result = await globalThis.axe.run(document, options);
      return result.violations.map(({ id, nodes }) => ({
        id,
        nodes: nodes.map(({ html, failureSummary }) => `${html.slice(0, 200)}: ${failureSummary}`),
      }));
    },
    wcagOnly ? WCAG : null,
  );
  assert.deepEqual(violations, []);
}

export async function assertFitsWidth(page) {
  const { content, window } = await page.evaluate(() => ({
    content: document.documentElement.scrollWidth,
    window: document.documentElement.clientWidth,
  }));
  assert.ok(content <= window, `${page.url()}: ${content} px of content in ${window} px`);
}
