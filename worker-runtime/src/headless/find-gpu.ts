/** Finds out how a browser must be started so that its pages get WebGPU. */
import { readdirSync } from 'node:fs';
import type { BrowserContext } from 'playwright';
import type { EngineChoice } from '../contributor/host-bridge.ts';
import { launch, type RunningBrowser, type WebGpuMode } from './browser.ts';

/** `auto`: only where the engine needs WebGPU and the machine has no GPU. */
export type SoftwareWebGpu = 'auto' | 'always' | 'never';

export interface FoundGpu {
  readonly webGpu: WebGpuMode;
  /** What a person should know of it. */
  readonly notice?: string;
  /** The browser that showed it, still running. */
  readonly browser?: RunningBrowser;
}

/** Starts the browser as it comes, and where it shows no GPU, in other ways. Rejects when it doesn't start at all. */
export async function findGpu(
  executable: string,
  dir: string,
  engine: EngineChoice,
  software: SoftwareWebGpu,
): Promise<FoundGpu> {
  if (software === 'always') return { webGpu: 'software' };
  if (engine === 'wllama') return { webGpu: 'plain' };
  for (const webGpu of hasGpuDevice() ? (['plain', 'vulkan'] as const) : (['plain'] as const)) {
    const browser = await launch(executable, dir, webGpu);
    const found = await probeWebGpu(browser.context).catch(() => 'none' as const);
    if (found === 'hardware') return { webGpu, browser };
    await browser.close();
  }
  return engine === 'webllm' && software === 'auto'
    ? {
        webGpu: 'software',
        notice: 'The browser shows no GPU: WebGPU runs in software (SwiftShader), which is slow.',
      }
    : { webGpu: 'plain', notice: 'The browser shows no GPU to pages.' };
}

/** What a page finds at `navigator.gpu`. An adapter that computes on the CPU is `software`. */
async function probeWebGpu(context: BrowserContext): Promise<'hardware' | 'software' | 'none'> {
  const page = await context.newPage();
  try {
    // A secure context without a network: the name can't exist (RFC 6761) and the request never leaves.
    const blank = 'https://probe.invalid/';
    await page.route(blank, (route) =>
      route.fulfill({ contentType: 'text/html', body: '<!doctype html><title>probe</title>' }),
    );
    await page.goto(blank);
    return await page.evaluate(async () => {
      const adapter = await navigator.gpu?.requestAdapter();
      if (!adapter) return 'none';
      const { architecture, description, isFallbackAdapter } = adapter.info;
      const onCpu =
        isFallbackAdapter || /swiftshader|llvmpipe|lavapipe/i.test(`${architecture} ${description}`);
      return onCpu ? 'software' : 'hardware';
    });
  } finally {
    await page.close();
  }
}

/** Whether a Linux machine has a GPU that the browser might be told to use. */
function hasGpuDevice(): boolean {
  if (process.platform !== 'linux') return false;
  return (
    list('/dev').some((name) => /^nvidia\d+$/.test(name)) ||
    list('/dev/dri').some((name) => name.startsWith('renderD'))
  );
}

function list(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}
