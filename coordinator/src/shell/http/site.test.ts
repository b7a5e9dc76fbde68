/** The built site: pages with their policy, files with their types, and nothing outside its folder. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openNetwork, startNetwork, type TestNetwork } from '../testing/harness.ts';
import { sendRaw } from '../testing/raw-http.ts';

const PAGE = '<!doctype html><title>Tussah</title>';
const OUTSIDE = 'outside-the-site';
const files: Readonly<Record<string, string>> = {
  'site/index.html': PAGE,
  'site/favicon.svg': '<svg xmlns="http://www.w3.org/2000/svg"/>',
  'site/assets/index-abc.js': 'export {};',
  'site/assets/engine-worker-abc.js': 'export {};',
  'site/assets/index-abc.css': 'a{}',
  'site/models/tiny/tussah-tiny-f32.gguf': 'GGUF',
  'site/models/tiny/tokenizer.json': '{}',
  'site/models/tiny/mlc/model.wasm': '\0asm',
  'site/.secret': OUTSIDE,
  'package.json': OUTSIDE,
  'site-other/file.txt': OUTSIDE,
};

let folder = '';
let network: TestNetwork;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tussah-site-'));
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), content);
  }
  network = await openNetwork({ flags: ['--site', join(folder, 'site')] });
});
afterAll(async () => {
  await network.close();
  rmSync(folder, { recursive: true });
});

const get = (path: string): Promise<Response> => fetch(`${network.url}${path}`);

describe('a page', () => {
  it.each([
    ['/', 200],
    ['/contribute', 200],
    ['/contribute?x=1', 200],
    ['/nowhere', 404],
    ['/contribute/deeper', 404],
  ])('%s is the site with status %d, a policy and no cache', async (path, status) => {
    const response = await get(path);
    expect(response.status).toBe(status);
    expect(await response.text()).toBe(PAGE);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'cross-origin-opener-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
    });
    const policy = response.headers.get('content-security-policy') ?? '';
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self' 'wasm-unsafe-eval'");
    expect(policy).toContain("connect-src 'self';");
    expect(policy).not.toMatch(/unsafe-inline|unsafe-eval'(?<!wasm-unsafe-eval')|https?:|\*/);
  });

  it('is not what a program gets that asks the API for nothing', async () => {
    for (const path of ['/v1/nowhere', '/nowhere.json', '/v1/models/x/y']) {
      const response = await get(path);
      expect([path, response.status]).toEqual([path, 404]);
      expect(await response.json()).toMatchObject({ error: { code: 'not_found' } });
    }
  });
});

describe('a file', () => {
  it.each([
    ['/assets/index-abc.js', 'application/javascript; charset=utf-8', 'public, max-age=31536000, immutable'],
    ['/assets/index-abc.css', 'text/css; charset=utf-8', 'public, max-age=31536000, immutable'],
    ['/favicon.svg', 'image/svg+xml', 'no-cache'],
    ['/models/tiny/tokenizer.json', 'application/json; charset=utf-8', 'no-cache'],
    ['/models/tiny/tussah-tiny-f32.gguf', 'application/octet-stream', 'no-cache'],
    ['/models/tiny/mlc/model.wasm', 'application/wasm', 'no-cache'],
  ])('%s has its type and its cache', async (path, type, cache) => {
    const response = await get(path);
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(files[`site${path}`]);
    expect(response.headers.get('content-type')).toBe(type);
    expect(response.headers.get('cache-control')).toBe(cache);
    expect(response.headers.get('cross-origin-resource-policy')).toBe('same-origin');
  });

  it('of weights can be read in parts', async () => {
    const response = await fetch(`${network.url}/models/tiny/tussah-tiny-f32.gguf`, {
      headers: { range: 'bytes=1-2' },
    });
    expect(response.status).toBe(206);
    expect(await response.text()).toBe('GU');
  });

  it('that runs engines has a policy of its own, which lets it fetch models', async () => {
    const response = await get('/assets/engine-worker-abc.js');
    expect(response.headers.get('content-security-policy')).toContain('https://huggingface.co');
    const page = await get('/assets/index-abc.js');
    expect(page.headers.get('content-security-policy')).not.toContain('huggingface');
  });
});

describe('a path that leads outside', () => {
  it.each([
    '/../package.json',
    '/..%2fpackage.json',
    '/..%2f..%2fpackage.json',
    '/%2e%2e/package.json',
    '/%2e%2e%2fpackage.json',
    '/assets/../../package.json',
    '/assets/..%2f..%2fpackage.json',
    '/..%5cpackage.json',
    '/..\\package.json',
    '/%252e%252e%252fpackage.json',
    '/../site-other/file.txt',
    '/..%2fsite-other/file.txt',
    '//package.json',
    '/.secret',
    '/package.json%00.html',
    '/models/%2e%2e/%2e%2e/package.json',
    '/file:///etc/passwd',
  ])('%s is refused', async (path) => {
    const response = await sendRaw(
      network.url,
      `GET ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`,
    );
    expect([400, 403, 404]).toContain(response.status);
    expect(response.body).not.toContain(OUTSIDE);
    expect(response.body).not.toContain('root:');
  });
});

describe('without a built site', () => {
  it('the API works, and pages say that there is nothing', async () => {
    const bare = await startNetwork();
    expect((await fetch(`${bare.url}/v1/models`)).status).toBe(200);
    const response = await fetch(`${bare.url}/`);
    expect(response.status).toBe(404);
    expect(await response.json()).toMatchObject({ error: { code: 'not_found' } });
  });
});
