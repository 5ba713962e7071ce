import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

/** Where a storefront runs while you work on its pages (`npm run dev`). */
const STORE = 'http://127.0.0.1:3000';

export default defineConfig({
  plugins: [react()],
  // The same page is served at `/`, `/1` and `/1/`, so its files are named from the root.
  base: '/',
  build: {
    outDir: process.env.CLIENT_DIST_OUT ?? '../client-dist',
    emptyOutDir: true,
    modulePreload: { polyfill: false },
    // The server compresses when it embeds the files; here it would only cost time.
    reportCompressedSize: false,
    // The API reference is one large third-party viewer, loaded on its own page only.
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
