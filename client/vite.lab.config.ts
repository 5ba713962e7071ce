import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** The lab that `npm run dev:lab` sends API requests to. */
const LAB = process.env.STOREFRONT_LAB ?? 'http://127.0.0.1:3100';

/**
 * Builds `lab.html`, the lab's page. It is built apart, so that it shares no chunk with the store's
 * page and does not change what that loads. Must run after the page's build, which empties the output folder.
 */
export default defineConfig({
  plugins: [react()],
  base: '/',
  build: {
    outDir: process.env.CLIENT_DIST_OUT ?? '../client-dist',
    emptyOutDir: false,
    copyPublicDir: false,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    rolldownOptions: { input: 'lab.html' },
  },
  server: {
    proxy: Object.fromEntries(
      ['^/(lab|run|fail|jobs|cached|db_lease)$', '^/(jobs|cached|db_lease)/'].map((path) => [
        path,
        LAB,
      ]),
    ),
  },
});
