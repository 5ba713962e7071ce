/** Reading the lab's page. */
import assert from 'node:assert/strict';

/** The pane of a database. */
export function pane(page, name) {
  return page.getByRole('article', { name, exact: true });
}

/** A row of the counts of a database, such as `Failed 0 1,200`: of reads and of writes. */
export function row(page, name, text) {
  const counts = pane(page, name).getByRole('table', { name: /^Transactions/ });
  return counts.getByRole('row', { name: text.replace(/\d+/g, withCommas), exact: true });
}

function withCommas(digits) {
  return Number(digits).toLocaleString('en-US');
}

/** The rows of the table behind a chart. */
export async function transactions(page, name, chart) {
  const region = pane(page, name).getByRole('region', { name: new RegExp(`^${chart}`) });
  await region.locator('summary').click();
  const table = region.getByRole('table', { name: `${chart}, ${name}` });
  return (await table.getByRole('row').allInnerTexts()).slice(1);
}

/** Errors in the page's console, from now on. */
export function collectErrors(page) {
  const errors = [];
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  page.on('pageerror', (error) => errors.push(String(error)));
  return errors;
}

/** Every chart shows a line of both colours. */
export async function assertPainted(of) {
  const charts = of.locator('.plot canvas');
  assert.equal(await charts.count(), 3);
  for (const chart of await charts.all()) {
    const counts = await chart.evaluate((canvas) => {
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
      let [blue, orange] = [0, 0];
      for (let at = 0; at < data.length; at += 4) {
        const [red, , third, alpha] = data.subarray(at, at + 4);
        if (alpha < 200) continue;
        if (third - red > 90) blue += 1;
        if (red - third > 90) orange += 1;
      }
      return { blue, orange };
    });
    // Where both lines are at the same height, one covers most of the other.
    assert.ok(counts.blue > 5 && counts.orange > 20, JSON.stringify(counts));
  }
}
