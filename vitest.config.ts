import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { vectorCommand } from './attestation/src/testing/vector-command.ts';
import { modelsPlugin } from './web/models-plugin.ts';
import {
  browserArguments,
  findBrowser,
  sandboxPossible,
} from './worker-runtime/src/headless/find-browser.ts';

const executablePath = findBrowser();
const skipped = ['**/node_modules/**', '**/dist/**'];

export default defineConfig({
  test: {
    passWithNoTests: false,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['*/src/**/*.test.ts', 'tools/**/*.test.ts'],
          exclude: [...skipped, '**/*.browser.test.ts'],
          environment: 'node',
        },
      },
      {
        // Tests that need the real thing: they run inside Chromium, with its software WebGPU adapter.
        plugins: [modelsPlugin(fileURLToPath(new URL('./models', import.meta.url)))],
        optimizeDeps: { include: ['@mlc-ai/web-llm', 'comlink'], exclude: ['@wllama/wllama'] },
        worker: { format: 'es' },
        test: {
          name: 'browser',
          include: ['*/src/**/*.browser.test.ts'],
          exclude: skipped,
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            commands: { vector: vectorCommand },
            provider: playwright({
              launchOptions: {
                ...(executablePath === undefined ? {} : { executablePath }),
                args: browserArguments({ softwareWebGpu: true, sandbox: sandboxPossible() }),
              },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
      {
        test: {
          name: 'e2e',
          include: ['e2e/**/*.e2e.ts'],
          exclude: skipped,
          environment: 'node',
          fileParallelism: false,
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
