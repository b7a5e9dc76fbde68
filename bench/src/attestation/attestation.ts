/** Verification of attestation evidence against its bare WebCrypto calls: the same inputs, with keys imported beforehand. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findBrowser } from '@tussah/worker-runtime/headless/find-browser';
import { launch } from '@tussah/worker-runtime/headless/browser';
import { createServer } from 'vite';
import { metric, type Bench, type Metric } from '../harness.ts';
import { measureAttestation, type Measured } from './subjects.ts';
import './page-api.ts';

const RATIO_MAX = 3;
/** A lookup, where a verification takes thousands of microseconds. */
const REMEMBERED_MAX_US = 50;

export const attestation: Bench = {
  summary: 'verification of evidence against its bare WebCrypto calls, in Node and in Chromium',
  async run(say, note) {
    say('in Node');
    const inNode = await measureAttestation();
    say('in Chromium');
    const { measured, version } = await measureInChromium();
    note('chromium', version);
    note('evidence', 'simulated; AMD keys of 2048 bits where real ones have 4096');
    note('remembered', 'parsed certificates and their keys; of chains and bundles nothing');
    return { ...metricsOf('Node', inNode), ...metricsOf('Chromium', measured) };
  },
};

function metricsOf(where: string, { timings, rememberedUs }: Measured): Record<string, Metric> {
  const verifications = timings.map(({ name, verifyMs, cryptoMs }) => [
    `${name}, ${where}`,
    metric(verifyMs, 'ms', {
      floor: cryptoMs,
      target: `at most ${RATIO_MAX} x its WebCrypto calls`,
      pass: verifyMs <= RATIO_MAX * cryptoMs,
    }),
  ]);
  const remembered = metric(rememberedUs, 'us', {
    target: `at most ${REMEMBERED_MAX_US}`,
    pass: rememberedUs <= REMEMBERED_MAX_US,
  });
  return { ...Object.fromEntries(verifications), [`known bundle, ${where}`]: remembered };
}

async function measureInChromium(): Promise<{ readonly measured: Measured; readonly version: string }> {
  const executable = findBrowser();
  if (executable === undefined) throw new Error('there is no browser; name one in TUSSAH_BROWSER');
  const folder = mkdtempSync(join(tmpdir(), 'tussah-bench-'));
  await using ending = new AsyncDisposableStack();
  ending.defer(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 }));
  const server = await createServer({
    configFile: false,
    root: join(import.meta.dirname, 'page'),
    server: { host: '127.0.0.1', port: 0, fs: { strict: false } },
    logLevel: 'error',
    cacheDir: join(folder, 'vite'),
  });
  ending.defer(() => server.close());
  await server.listen();
  const browser = await launch(executable, join(folder, 'profile'), 'plain');
  ending.defer(() => browser.close());
  const page = await browser.context.newPage();
  await page.goto(server.resolvedUrls?.local[0] ?? '');
  await page.waitForFunction(() => 'tussahAttestation' in window);
  const measured = await page.evaluate(() => window.tussahAttestation?.());
  if (measured === undefined) throw new Error('the page did not measure');
  return { measured, version: browser.context.browser()?.version() ?? 'unknown' };
}
