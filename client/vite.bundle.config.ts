import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/**
 * Builds `dist/bundle.js`, the overview for other teams' pages: one classic script with a stable
 * name. Must run after the page's build, which empties the output folder.
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
