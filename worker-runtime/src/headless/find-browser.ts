/** Finds a Chromium-family browser: the one named, an installed one, or the one that Playwright downloaded. */
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { chromium } from 'playwright';

const names = [
  'google-chrome-stable',
  'google-chrome',
  'chromium',
  'chromium-browser',
  'microsoft-edge-stable',
];

const installed: Partial<Record<NodeJS.Platform, readonly string[]>> = {
  darwin: [
    '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
    '/Applications/Chromium.app/Contents/MacOS/Chromium',
    '/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge',
  ],
  win32: [
    'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
    'C:\\Program Files (x86)\\Google\\Chrome\\Application\\chrome.exe',
    'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
  ],
};

/** Path of an executable browser, or undefined. `TUSSAH_BROWSER` names one explicitly. */
export function findBrowser(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const named = env['TUSSAH_BROWSER'];
  if (named !== undefined && named !== '') return executable(named) ? named : undefined;
  const folders = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const onPath = names.flatMap((name) => folders.map((folder) => join(folder, name)));
  return [...onPath, ...(installed[process.platform] ?? []), playwrightsOwn()].find(executable);
}

function playwrightsOwn(): string {
  try {
    return chromium.executablePath();
  } catch {
    return '';
  }
}

function executable(path: string): boolean {
  if (path === '' || !existsSync(path)) return false;
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Arguments for a headless contributor. Background traffic of the browser itself is off; `softwareWebGpu` asks for the
 * SwiftShader adapter, which machines without a GPU need for WebGPU; `vulkan` for the GPU of a Linux machine without a
 * screen, which Chromium leaves alone otherwise.
 */
export function browserArguments(options: {
  softwareWebGpu: boolean;
  sandbox: boolean;
  vulkan?: boolean;
}): string[] {
  return [
    ...(options.sandbox ? [] : ['--no-sandbox']),
    '--disable-quic',
    '--no-first-run',
    '--no-default-browser-check',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--disable-default-apps',
    // A page without a window must not be throttled: it is the whole point of this browser.
    '--disable-background-timer-throttling',
    '--disable-renderer-backgrounding',
    '--disable-backgrounding-occluded-windows',
    ...(options.softwareWebGpu ? ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'] : []),
    ...(options.vulkan === true
      ? ['--enable-unsafe-webgpu', '--enable-features=Vulkan', '--ignore-gpu-blocklist']
      : []),
  ];
}

/** Chromium's sandbox does not start for root. */
export const sandboxPossible = (): boolean => process.platform === 'win32' || process.getuid?.() !== 0;
