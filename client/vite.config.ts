import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

/** The storefront that `npm run dev` sends API requests to. */
const STORE = 'http://127.0.0.1:3000';

export default defineConfig({
  plugins: [react()],
  // The same page is served at `/`, `/1` and `/1/`, so asset URLs must be absolute.
  base: '/',
  build: {
    outDir: process.env.CLIENT_DIST_OUT ?? '../client-dist',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    // Skipped to save time: the server compresses the files when it embeds them.
    reportCompressedSize: false,
    // The API reference is a large third-party viewer, loaded only on its own page.
    chunkSizeWarningLimit: 4_000,
    rolldownOptions: { input: ['index.html', 'docs.html'] },
  },
  server: {
    proxy: Object.fromEntries(
      [
        '/api',
        '/orders',
        '/stock',
        '/payment',
        '/openapi.json',
        '/healthz',
        '/readyz',
        '/metrics',
      ].map((path) => [path, STORE]),
    ),
  },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.{ts,tsx}'],
    restoreMocks: true,
    unstubGlobals: true,
  },
});
