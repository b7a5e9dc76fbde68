import { describe, expect, it } from 'vitest';
import { isSiteSource } from './site.ts';

describe('what the site is built from', () => {
  it.each([
    'web/src/app/App.svelte',
    'web/index.html',
    'protocol/src/money.ts',
    'models/tiny/tussah-tiny-f32.gguf',
    'worker-runtime/src/engine/port.ts',
    'vite.config.ts',
  ])('includes %s', (path) => expect(isSiteSource(path)).toBe(true));

  it.each([
    'web/dist',
    'web/node_modules',
    'web/src/app/routes.test.ts',
    'models/tiny/train',
    'worker-runtime/src/headless',
    'worker-runtime/src/confidential',
    'web/.DS_Store',
    'models/README.md',
  ])('leaves out %s', (path) => expect(isSiteSource(path)).toBe(false));
});
