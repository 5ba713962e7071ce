import { waitFor } from '@testing-library/react';
import { beforeEach, expect, test, vi } from 'vitest';
import { mountOverview } from './mount';

beforeEach(() => {
  // jsdom does not implement constructable stylesheets or fetch.
  vi.stubGlobal(
    'CSSStyleSheet',
    class {
      replaceSync() {}
    },
  );
  vi.stubGlobal(
    'fetch',
    vi.fn<typeof fetch>(async () => new Response('Not Found', { status: 404 })),
  );
  document.body.innerHTML = '<div id="overview">Loading …</div>';
});

function container(): HTMLElement {
  return document.getElementById('overview') as HTMLElement;
}

function shown(): string | null | undefined {
  return container().firstElementChild?.shadowRoot?.textContent;
}

test('replaces the container’s children and requests the given API', async () => {
  mountOverview(container(), 'http://store.example', '/7/reviews');
  await waitFor(() => expect(shown()).toContain('Game #7 not found'));
  expect(container().textContent).toBe('');
  expect(vi.mocked(fetch).mock.calls[0]?.[0]).toBe('http://store.example/api/overview/7');
});

test('a second script on the same page has no effect', async () => {
  mountOverview(container(), 'http://store.example', '/7');
  const first = container().firstElementChild;
  mountOverview(container(), 'http://store.example', '/7');
  expect(container().children).toHaveLength(1);
  expect(container().firstElementChild).toBe(first);
});

test('a page whose path has no game number shows a message', async () => {
  mountOverview(container(), 'http://store.example', '/shop');
  await waitFor(() => expect(shown()).toContain('Game not found'));
});
