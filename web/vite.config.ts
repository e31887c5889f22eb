import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// In development the REST API is a running jobmanager's, or that of dev/server.mjs.
const jobmanager = process.env.PENCERE_UI ?? 'http://localhost:8081';
const api = ['/overview', '/jobs', '/taskmanagers', '/config'];

export default defineConfig({
  // Relative addresses, so that the UI also works behind a proxy that adds a path.
  base: './',
  plugins: [react()],
  build: {
    target: 'es2022',
    // One script and one style sheet: the whole UI is smaller than the round trips that splitting would cost.
    cssCodeSplit: false,
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: { proxy: Object.fromEntries(api.map((path) => [path, jobmanager])) },
  test: { include: ['src/**/*.test.ts'] },
});
