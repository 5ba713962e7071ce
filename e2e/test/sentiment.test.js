import { after, test } from 'node:test';
import { arrive, fact, shows } from '../support/reading.js';
import { useShop } from '../support/shop.js';
import { json, startServer } from '../support/sister.js';

const DAY_MS = 24 * 60 * 60 * 1000;

/** Positive reviews and all reviews, recent ones and older ones, by game. */
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

let sister;
const shop = useShop(async () => {
  sister = await startServer((request, response) => {
    const { recent, older } = GAMES[request.url.split('/').at(-1)];
    json([...reviews(recent, 29), ...reviews(older, 31)])(request, response);
  });
  return ['--reviews-url', sister.origin];
});
after(() => sister?.stop());

function reviews([positive, total], daysAgo) {
  const posted = new Date(Date.now() - daysAgo * DAY_MS).toISOString();
  return Array.from({ length: total }, (_, n) => ({ recommended: n < positive, posted }));
}

for (const [id, { recent, older, lines }] of Object.entries(GAMES)) {
  const said = lines.map((line) => line ?? 'no reviews').join(', ');
  test(`${recent.join(' of ')} recent, ${older.join(' of ')} older: ${said}`, async () => {
    const page = await shop.visit(`/${id}`);
    await arrive(page);
    const counts = [recent[1], recent[1] + older[1]];
    for (const [index, name] of ['Recent reviews', 'All reviews'].entries()) {
      const count = counts[index].toLocaleString('en-US');
      const text = lines[index] === null ? 'No user reviews' : `${lines[index]} (${count})`;
      await shows(fact(page, name), text);
    }
  });
}
