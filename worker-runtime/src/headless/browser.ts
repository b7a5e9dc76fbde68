/** Starts Chromium with a profile, finds out which GPU it shows to pages, and ends it for certain. */
import { setTimeout as pause } from 'node:timers/promises';
import { type BrowserContext, chromium } from 'playwright';
import { browserArguments, sandboxPossible } from './find-browser.ts';
import { holderOf, isAlive } from './profile.ts';

/** `plain`: as the browser comes. `vulkan`: with the GPU of a Linux machine without a screen. `software`: on the CPU. */
export type WebGpuMode = 'plain' | 'vulkan' | 'software';

const LAUNCH_TIMEOUT_MS = 60_000;
const CLOSE_TIMEOUT_MS = 8_000;

export interface RunningBrowser {
  readonly context: BrowserContext;
  readonly webGpu: WebGpuMode;
  /** Ends the browser, by force when it doesn't end by itself. */
  close(): Promise<void>;
}

/** Rejects when the browser doesn't start. */
export async function launch(executable: string, dir: string, webGpu: WebGpuMode): Promise<RunningBrowser> {
  const context = await chromium.launchPersistentContext(dir, {
    executablePath: executable,
    headless: true,
    args: browserArguments({
      softwareWebGpu: webGpu === 'software',
      vulkan: webGpu === 'vulkan',
      sandbox: sandboxPossible(),
    }),
    timeout: LAUNCH_TIMEOUT_MS,
    // The host decides what a signal means.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
  // Chromium's own lock names the process that was just started for this profile.
  const pid = holderOf(dir);
  return { context, webGpu, close: () => end(context, pid) };
}

async function end(context: BrowserContext, pid: number | undefined): Promise<void> {
  const timeout = new AbortController();
  await Promise.race([
    context.close().catch(() => undefined),
    pause(CLOSE_TIMEOUT_MS, undefined, { signal: timeout.signal }).catch(() => undefined),
  ]);
  timeout.abort();
  if (pid === undefined || pid === 0) return;
  for (let i = 0; i < 20 && isAlive(pid); i++) await pause(100);
  if (isAlive(pid)) process.kill(pid, 'SIGKILL');
}
