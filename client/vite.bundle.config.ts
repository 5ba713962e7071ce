import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/**
 * `dist/bundle.js`, the overview for other teams' pages: one classic script under a stable name.
 * Runs after the page's build and adds to its folder.
 */
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: process.env.CLIENT_DIST_OUT ?? '../client-dist',
    emptyOutDir: false,
    copyPublicDir: false,
    modulePreload: false,
    reportCompressedSize: false,
    rolldownOptions: {
      input: 'src/bundle/main.tsx',
      output: { format: 'iife', entryFileNames: 'dist/bundle.js' },
    },
  },
});
