import { fileURLToPath } from 'node:url';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import { modelsPlugin } from './web/models-plugin.ts';
import { releasePlugin } from './web/release/release-plugin.ts';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

export default defineConfig({
  root: 'web',
  plugins: [svelte(), modelsPlugin(path('./models')), releasePlugin(path('.'))],
  worker: { format: 'es' },
  build: { outDir: 'dist', emptyOutDir: true, target: 'es2023', chunkSizeWarningLimit: 8000 },
  server: {
    proxy: { '/v1': 'http://127.0.0.1:4180', '/worker': { target: 'ws://127.0.0.1:4180', ws: true } },
  },
});
