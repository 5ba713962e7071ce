import { after, test } from 'node:test';
import { fact, waitForHeading, waitForText } from '../support/page.js';
import { useSite } from '../support/site.js';
import { json, startServer } from '../support/upstream.js';

const DAY_MS = 24 * 60 * 60 * 1000;

/** By game: the number of positive and of all reviews, for recent and for older ones. */
const GAMES = {
  1: {
    recent: [75, 100],
    older: [0, 0],
    lines: ['Overwhelmingly Positive', 'Overwhelmingly Positive'],
  },
  2: { recent: [50, 100], older: [0, 0], lines: ['Very Positive', 'Very Positive'] },
  3: { recent: [49, 100], older: [0, 0], lines: ['Very Negative', 'Very Negative'] },
  4: {
    recent: [25, 100],
    older: [0, 0],
    lines: ['Overwhelmingly Negative', 'Overwhelmingly Negative'],
  },
  5: { recent: [0, 0], older: [3, 4], lines: [null, 'Overwhelmingly Positive'] },
  6: { recent: [0, 0], older: [0, 0], lines: [null, null] },
  7: {
    recent: [1, 1],
    older: [0, 1_203],
    lines: ['Overwhelmingly Positive', 'Overwhelmingly Negative'],
  },
};

let upstream;
const site = useSite(async () => {
  upstream = await startServer((request, response) => {
    const { recent, older } = GAMES[request.url.split('/').at(-1)];
    json([...reviews(recent, 29), ...reviews(older, 31)])(request, response);
  });
  return ['--reviews-url', upstream.origin];
});
after(() => upstream?.stop());

function reviews([positive, total], daysAgo) {
  const posted = new Date(Date.now() - daysAgo * DAY_MS).toISOString();
  return Array.from({ length: total }, (_, n) => ({ recommended: n < positive, posted }));
}

for (const [id, { recent, older, lines }] of Object.entries(GAMES)) {
  const labels = lines.map((line) => line ?? 'no reviews').join(', ');
  test(`${recent.join(' of ')} recent, ${older.join(' of ')} older: ${labels}`, async () => {
    const page = await site.openPage(`/${id}`);
    await waitForHeading(page);
    const counts = [recent[1], recent[1] + older[1]];
    for (const [index, name] of ['Recent reviews', 'All reviews'].entries()) {
      const count = counts[index].toLocaleString('en-US');
      const text = lines[index] === null ? 'No user reviews' : `${lines[index]} (${count})`;
      await waitForText(fact(page, name), text);
    }
  });
}
