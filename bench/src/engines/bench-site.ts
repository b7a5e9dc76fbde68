/** The bench's page on a real coordinator in a process of its own, in a real browser: built, started, and ended for certain. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { launch, type WebGpuMode } from '@tussah/worker-runtime/headless/browser';
import { findBrowser } from '@tussah/worker-runtime/headless/find-browser';
import { findGpu } from '@tussah/worker-runtime/headless/find-gpu';
import type { Page } from 'playwright';
import { build } from 'vite';
import { modelsPlugin } from '../../../web/models-plugin.ts';
import type { BenchEngine } from './page-api.ts';

const root = resolve(import.meta.dirname, '../../..');
/** The coordinator would wait longer for an answer that was interrupted; its books are thrown away. */
const STOP_MAX_MS = 3_000;
const SETTLE_MAX_MS = 15_000;

/** What a bench may use until its end. */
export interface Workplace {
  readonly ending: AsyncDisposableStack;
  /** Temporary; browser profiles go there too. */
  readonly folder: string;
}

/** Runs `work`, and ends everything it started whatever happens, a signal and `boundMs` included. */
export async function inWorkplace<T>(boundMs: number, work: (place: Workplace) => Promise<T>): Promise<T> {
  const { promise: interrupted, reject } = Promise.withResolvers<never>();
  const onSignal = (signal: NodeJS.Signals) => reject(new Error(`ended by ${signal}`));
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, onSignal);
  const bound = setTimeout(() => reject(new Error(`not done after ${boundMs / 1000} s`)), boundMs);
  const folder = mkdtempSync(join(tmpdir(), 'tussah-bench-'));
  const ending = new AsyncDisposableStack();
  const working = work({ ending, folder });
  try {
    return await Promise.race([working, interrupted]);
  } finally {
    clearTimeout(bound);
    await ending.disposeAsync();
    // What was interrupted may still write; it fails soon, since what it uses is gone.
    await Promise.race([Promise.allSettled([working]), pause(SETTLE_MAX_MS, undefined, { ref: false })]);
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    for (const signal of signals) process.off(signal, onSignal);
  }
}

export interface BenchSite {
  readonly url: string;
  readonly adminToken: string;
}

/** Builds the page and starts a coordinator that serves it, with the headers of the real site. */
export async function benchSite({ ending, folder }: Workplace): Promise<BenchSite> {
  const site = join(folder, 'site');
  await build({
    configFile: false,
    root: join(import.meta.dirname, 'page'),
    plugins: [modelsPlugin(join(root, 'models'))],
    worker: { format: 'es' },
    build: { outDir: site, emptyOutDir: true, target: 'es2023', chunkSizeWarningLimit: 8000 },
    logLevel: 'warn',
  });
  const data = join(folder, 'data');
  const url = await startCoordinator(ending, ['--data', data, '--site', site]);
  return { url, adminToken: readFileSync(join(data, 'admin-token'), 'utf8').trim() };
}

async function startCoordinator(ending: AsyncDisposableStack, flags: readonly string[]): Promise<string> {
  const script = join(root, 'coordinator/src/main.ts');
  const args = [script, '--port', '0', '--host', '127.0.0.1', '--log-level', 'error', ...flags];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = new Promise<number | null>((done) => child.once('exit', done));
  ending.defer(async () => {
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_MAX_MS);
    await exited;
    clearTimeout(force);
  });
  return new Promise((done, failed) => {
    createInterface({ input: child.stdout }).on('line', (line) =>
      done((JSON.parse(line) as { url: string }).url),
    );
    void exited.then((code) => failed(new Error(`the coordinator ended with ${code}`)));
  });
}

export interface BenchBrowser {
  readonly executable: string;
  readonly webGpu: WebGpuMode;
}

/** Which browser, and how it must be started so that the engine runs: on the GPU if there is one. */
export async function browserFor(engine: BenchEngine, { folder }: Workplace): Promise<BenchBrowser> {
  const executable = findBrowser();
  if (executable === undefined) throw new Error('there is no browser; name one in TUSSAH_BROWSER');
  const found = await findGpu(executable, join(folder, `probe-${engine}`), engine, 'auto');
  await found.browser?.close();
  return { executable, webGpu: found.webGpu };
}

export interface OpenPage {
  readonly page: Page;
  readonly close: () => Promise<void>;
}

/** The bench's page in a browser of its own with the named profile; closed at the end if not before. */
export async function openPage(
  { ending, folder }: Workplace,
  { url }: BenchSite,
  { executable, webGpu }: BenchBrowser,
  profile: string,
): Promise<OpenPage> {
  const browser = await launch(executable, join(folder, profile), webGpu);
  let closing: Promise<void> | undefined;
  const close = () => (closing ??= browser.close());
  if (ending.disposed) await close();
  else ending.defer(close);
  const page = await browser.context.newPage();
  await page.goto(url);
  await page.waitForFunction(() => window.tussahBench !== undefined);
  return { page, close };
}

/** The engine and what it computes on, in words that name metrics. */
export async function nameOf(engine: BenchEngine, page: Page): Promise<string> {
  if (engine === 'wllama') return 'wllama on the CPU';
  const adapter = await page.evaluate(async () => (await window.tussahBench?.adapter()) ?? null);
  return `webllm on ${adapter ?? 'no adapter'}`;
}
