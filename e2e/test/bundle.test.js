import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertAccessible } from '../support/checks.js';
import { visibleText, waitForText } from '../support/page.js';
import { useSite } from '../support/site.js';
import { json, startServer } from '../support/upstream.js';

const site = useSite();

/** Another team's server, and the URLs requested from it. */
let hostServer;
let html = '';
const foreignRequests = [];
before(async () => {
  hostServer = await startServer((request, response) => {
    foreignRequests.push(request.url);
    response.setHeader('content-type', 'text/html; charset=utf-8');
    response.end(html);
  });
});
after(() => hostServer?.stop());

/** Styles that would break an embedded component without style isolation. */
const HOSTILE = `
  html { font-size: 62.5%; }
  body { margin: 0; color: #222; background: #fff; font: italic 700 9px/1 serif; letter-spacing: 2px;
    text-transform: uppercase; text-align: right; --sf-text: red; }
  h2, p, div, span, dl, dd, button, ul, li { color: red !important; font-size: 40px !important;
    display: inline !important; }
  #overview { display: block !important; }
`;

function hostPage({
  script,
  head = '',
  body = '<div id="overview">Loading</div>',
  inHead = false,
}) {
  const tag = `<script src="${script}"></script>`;
  return `<!doctype html><html lang="en"><head><title>Another team</title><style>${HOSTILE}</style>
    ${head}${inHead ? tag : ''}</head><body><main><h1>Shop</h1>${body}</main>${inHead ? '' : tag}</body></html>`;
}

async function openHostPage(page, path = '/1') {
  html = hostPage(page);
  foreignRequests.length = 0;
  return site.openUrl(`${hostServer.origin}${path}`, { allowed: [site.store.origin] });
}

// The skeleton has a heading too: "Loading game…".
const overviewHeading = (page) =>
  page.locator('#overview').getByRole('heading', { level: 2, name: /^(?!Loading)/ });

for (const [how, options] of Object.entries({
  'as /dist/bundle.js': () => ({ script: `${site.store.origin}/dist/bundle.js` }),
  'as /1/dist/bundle.js': () => ({ script: `${site.store.origin}/1/dist/bundle.js` }),
  'in the head, before the element exists': () => ({
    script: `${site.store.origin}/dist/bundle.js`,
    inHead: true,
  }),
})) {
  test(`another origin’s page shows the overview, the script loaded ${how}`, async () => {
    const [game] = await site.store.get('/api/overview/1');
    const page = await openHostPage(options());
    await waitForText(overviewHeading(page), 'Stardew Valley');
    const overview = page.locator('#overview');
    await overview.getByText(game.publisher).first().waitFor();
    await overview
      .getByText(/(Positive|Negative)$/)
      .first()
      .waitFor();
    await overview.getByRole('img', { name: 'Banner of Stardew Valley' }).waitFor();
    assert.deepEqual(
      foreignRequests.filter((url) => url.startsWith('/api')),
      [],
    );
  });
}

test('other teams’ pages get only the overview, without the cart', async () => {
  const requested = [];
  const page = await openHostPage({ script: `${site.store.origin}/dist/bundle.js` });
  page.on('request', (request) => requested.push(new URL(request.url()).pathname));
  await page.reload();
  await page.locator('#overview [data-reviews=all]').waitFor();
  assert.deepEqual(
    requested.filter((path) => /^\/(stock|orders|payment)\//.test(path)),
    [],
  );
  assert.equal(await page.getByRole('button', { name: /cart/i }).count(), 0);
});

test('the overview shows the game in the host page’s path', async () => {
  const [game] = await site.store.get('/api/overview/42');
  const page = await openHostPage(
    { script: `${site.store.origin}/1/dist/bundle.js` },
    '/42/photos?x=1',
  );
  await waitForText(overviewHeading(page), game.game_name.replaceAll('_', ' '));
});

test('a host page can set the API’s URL', async () => {
  const [game] = await site.store.get('/api/overview/1');
  const api = await startServer((request, response) => {
    response.setHeader('access-control-allow-origin', '*');
    const body = request.url === '/api/overview/1' ? [{ ...game, game_name: 'Named_API' }] : [];
    json(body)(request, response);
  });
  try {
    html = hostPage({
      script: `${site.store.origin}/dist/bundle.js`,
      head: `<script>globalThis.STOREFRONT_API_URL = '${api.origin}/';</script>`,
    });
    const page = await site.openUrl(`${hostServer.origin}/1`, {
      allowed: [site.store.origin, api.origin],
    });
    await waitForText(overviewHeading(page), 'Named API');
  } finally {
    await api.stop();
  }
});

test('styles of the host page and the overview do not affect each other', async () => {
  const page = await openHostPage({ script: `${site.store.origin}/dist/bundle.js` });
  await overviewHeading(page).waitFor();
  const styles = await page.evaluate(() => {
    const style = (element) => {
      const { color, fontSize, letterSpacing, textTransform, fontStyle } =
        getComputedStyle(element);
      return { color, fontSize, letterSpacing, textTransform, fontStyle };
    };
    const inside = document.querySelector('#overview > div').shadowRoot;
    return {
      host: style(document.querySelector('h1')),
      text: style(inside.querySelector('article p')),
    };
  });
  assert.deepEqual(styles.text, {
    color: 'rgb(244, 240, 250)',
    fontSize: '17px',
    letterSpacing: 'normal',
    textTransform: 'none',
    fontStyle: 'normal',
  });
  assert.deepEqual(styles.host, {
    color: 'rgb(34, 34, 34)',
    fontSize: '18px',
    letterSpacing: '2px',
    textTransform: 'uppercase',
    fontStyle: 'italic',
  });
});

test('the script adds no global and does not use the host page’s React', async () => {
  const globals = () => Object.getOwnPropertyNames(window).filter((name) => !/^\d+$/.test(name));
  html = hostPage({
    script: `${site.store.origin}/dist/bundle.js`,
    head: `<script>
      globalThis.React = { version: '0.0.0' };
      globalThis.before = [];
      globalThis.before = (${globals})();
    </script>`,
  });
  const page = await site.openUrl(`${hostServer.origin}/1`, { allowed: [site.store.origin] });
  await overviewHeading(page).waitFor();
  assert.equal(await page.evaluate(() => window.React.version), '0.0.0');
  const added = await page.evaluate(
    (names) => Object.getOwnPropertyNames(window).filter((name) => !names.includes(name)),
    await page.evaluate(() => [...window.before, 'overview', 'axe']),
  );
  assert.deepEqual(
    added.filter((name) => !/^\d+$|playwright/i.test(name)),
    [],
  );
});

describe('a host page with an error', () => {
  test('without the element the script does nothing', async () => {
    const errors = [];
    const page = await openHostPage({
      script: `${site.store.origin}/dist/bundle.js`,
      body: '<p>hi</p>',
    });
    page.on('pageerror', (error) => errors.push(error));
    await page.reload({ waitUntil: 'load' });
    assert.deepEqual(errors, []);
    assert.match(await visibleText(page.getByRole('main')), /^SHOP\s*HI$/);
  });

  test('a script loaded twice mounts once', async () => {
    const script = `${site.store.origin}/dist/bundle.js`;
    const page = await openHostPage({ script, head: `<script src="${script}"></script>` });
    await overviewHeading(page).waitFor();
    assert.equal(await page.locator('#overview > div').count(), 1);
  });

  test('a path without a game number shows a message', async () => {
    const page = await openHostPage({ script: `${site.store.origin}/dist/bundle.js` }, '/shop');
    await waitForText(overviewHeading(page), 'Game not found');
  });

  test('a missing game shows a message', async () => {
    const page = await openHostPage({ script: `${site.store.origin}/dist/bundle.js` }, '/999999');
    await waitForText(overviewHeading(page), 'Game #999999 not found');
  });
});

test('the styles work under a strict content security policy', async () => {
  const policy = `default-src 'none'; script-src ${site.store.origin}; connect-src ${site.store.origin}; img-src ${site.store.origin}`;
  html = `<!doctype html><html lang="en"><head><title>Strict</title>
    <meta http-equiv="Content-Security-Policy" content="${policy}"></head>
    <body><main><h1>Shop</h1><div id="overview"></div></main>
    <script src="${site.store.origin}/dist/bundle.js"></script></body></html>`;
  const page = await site.openUrl(`${hostServer.origin}/1`, { allowed: [site.store.origin] });
  await overviewHeading(page).waitFor();
  const background = await page.evaluate(() => {
    const inside = document.querySelector('#overview > div').shadowRoot;
    return getComputedStyle(inside.firstElementChild).backgroundColor;
  });
  assert.equal(background, 'rgb(22, 18, 31)');
});

test('the overview is accessible on a plain page', async () => {
  html = `<!doctype html><html lang="en"><head><title>Plain</title></head><body><main><h1>Shop</h1>
    <div id="overview"></div></main><script src="${site.store.origin}/dist/bundle.js"></script></body></html>`;
  const page = await site.openUrl(`${hostServer.origin}/1`, { allowed: [site.store.origin] });
  await page.locator('#overview [data-reviews=all] button').waitFor();
  await assertAccessible(page);
});
