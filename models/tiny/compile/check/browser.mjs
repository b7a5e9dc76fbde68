// A page of Chromium on the software WebGPU adapter, with the unmodified web-llm package and the model's files.
import { createReadStream, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const here = path.dirname(fileURLToPath(import.meta.url));
const pages = {
  '/': path.join(here, 'page.html'),
  '/page.js': path.join(here, 'page.js'),
  '/web-llm.js': fileURLToPath(import.meta.resolve('@mlc-ai/web-llm')),
};
const types = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.wasm': 'application/wasm',
};
const modelPath = '/tiny/resolve/main/'; // web-llm wants /resolve/<branch>/ in a model's address

const flags = [
  '--no-sandbox',
  '--disable-quic',
  '--no-first-run',
  '--no-default-browser-check',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-default-apps',
  // Both are needed for WebGPU without a GPU.
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
];

/** @returns {Promise<{ call: (name: string, ...args: unknown[]) => Promise<any>, close: () => Promise<void> }>} */
export async function openPage(modelFolder) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://check');
    const file = pathname.startsWith(modelPath)
      ? path.join(modelFolder, path.basename(pathname))
      : pages[pathname];
    if (!file || !existsSync(file)) return response.writeHead(404).end();
    const type = types[path.extname(file)] ?? 'application/octet-stream';
    return createReadStream(file).pipe(response.writeHead(200, { 'content-type': type }));
  });
  await new Promise((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const profile = mkdtempSync(path.join(tmpdir(), 'check-'));
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    chromiumSandbox: false,
    args: flags,
  });
  const page = await browser.newPage();
  page.setDefaultTimeout(0);
  page.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return;
    process.stderr.write(`[page ${message.type()}] ${message.text().slice(0, 600)}\n`);
  });
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.waitForFunction(() => window.check);
  return {
    call: (name, ...args) => page.evaluate(([to, given]) => window.check[to](...given), [name, args]),
    async close() {
      await browser.close();
      server.close();
      rmSync(profile, { recursive: true, force: true });
    },
  };
}
