import { describe, expect, test } from 'vitest';
import { bundleApiBase, pageApiBase } from './base';

const ORIGIN = 'http://page.example';

function pageWith(head: string): Document {
  return new DOMParser().parseFromString(`<head>${head}</head>`, 'text/html');
}

describe('the page’s API base', () => {
  test.each([
    ['', ORIGIN],
    ['<meta name="storefront-api-url" content="">', ORIGIN],
    ['<meta name="storefront-api-url" content="javascript:alert(1)">', ORIGIN],
    [
      '<meta name="storefront-api-url" content="http://api.example:8080">',
      'http://api.example:8080/',
    ],
  ])('%s', (head, base) => {
    expect(pageApiBase(pageWith(head), ORIGIN)).toBe(base);
  });
});

describe('the bundle’s API base', () => {
  const script = 'http://store.example:3000/1/dist/bundle.js';

  test('is the origin that served the script', () => {
    expect(bundleApiBase(undefined, script, ORIGIN)).toBe('http://store.example:3000');
  });

  test('is the URL that the host page sets, if it is valid', () => {
    expect(bundleApiBase('http://api.example', script, ORIGIN)).toBe('http://api.example/');
    expect(bundleApiBase('/behind/a/proxy', script, ORIGIN)).toBe(
      'http://page.example/behind/a/proxy',
    );
    for (const unusable of ['', '  ', 42, null, 'http://']) {
      expect(bundleApiBase(unusable, script, ORIGIN)).toBe('http://store.example:3000');
    }
  });

  test('is the page’s origin for an inlined script', () => {
    expect(bundleApiBase(undefined, null, ORIGIN)).toBe(ORIGIN);
    expect(bundleApiBase(undefined, '', ORIGIN)).toBe(ORIGIN);
  });
});
