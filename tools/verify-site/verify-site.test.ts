import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { contentTypeOf } from '@tussah/protocol/site/content-type';
import { release } from '@tussah/protocol/site/release-fixture';
import { textOfRelease } from '@tussah/protocol/site/release';
import { siteHeaders } from '@tussah/protocol/site/site-headers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readBuild } from '../../web/release/read-build.ts';
import { newKey, signBuild } from '../../web/release/sign.ts';
import { main } from './main.ts';

interface Answer {
  readonly status?: number;
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

let folder: string;
let key: string;
let server: Server;
/** What the server sends instead of the build's files. */
let other: Map<string, Answer>;

const files: Readonly<Record<string, string>> = {
  'index.html': '<title>Tussah</title>',
  'service-worker.js': 'worker',
  'assets/index-1.js': 'one',
  'assets/engine.worker-1.js': 'engine',
};

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'tussah-verify-site-'));
  for (const [path, content] of Object.entries(files)) write(`dist/${path}`, content);
  key = newKey(join(folder, 'key.pem'));
  list();
  other = new Map();
  server = createServer((request, response) => {
    const path = request.url ?? '/';
    const { status = 200, body, headers } = other.get(path) ?? {};
    const file = ['/', '/contribute', '/verify'].includes(path) ? '/index.html' : path;
    response.writeHead(status, { ...siteHeaders(path), 'content-type': contentTypeOf(file), ...headers });
    response.end(body ?? read(file));
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
});

afterEach(async () => {
  await new Promise((done) => server.close(done));
  rmSync(folder, { recursive: true });
});

function write(path: string, content: string): void {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), content);
}

function read(path: string): string {
  try {
    return readFileSync(join(folder, 'dist', path), 'utf8');
  } catch {
    return '';
  }
}

const list = () =>
  write('dist/release.json', textOfRelease(release({ keys: [key], files: readBuild(join(folder, 'dist')) })));

const url = () => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

async function verify(...args: string[]) {
  let [out, error] = ['', ''];
  const status = await main(
    ['site', ...(args.length > 0 ? args : [url(), '--build', join(folder, 'dist')])],
    {
      out: (text) => (out += text),
      error: (text) => (error += text),
    },
  );
  return { status, out, error };
}

describe('a site that serves the build', () => {
  it('is the same', async () => {
    other.set('/release.sig.json', { status: 404 });
    const { status, out } = await verify();
    expect(out).toMatch(/^4 files, 36 bytes, version 1\.0\.0, release [0-9a-f]{64}\nunsigned\nsame\n$/);
    expect(status).toBe(0);
  });

  it('is said to be signed, by whom and when', async () => {
    signBuild(join(folder, 'dist'), [join(folder, 'key.pem')], Date.UTC(2026, 0, 1));
    const { status, out } = await verify();
    expect(out).toContain(`signed on 2026-01-01T00:00:00.000Z with the key ${key}\nsame\n`);
    expect(status).toBe(0);
  });

  it('is told as JSON', async () => {
    other.set('/release.sig.json', { status: 404 });
    const { out } = await verify(url(), '--json', '--build', join(folder, 'dist'));
    expect(JSON.parse(out)).toMatchObject({ verdict: 'same', files: 4, signed: null, differences: [] });
  });
});

describe('a site that differs', () => {
  beforeEach(() => other.set('/release.sig.json', { status: 404 }));

  it.each<[string, string, Answer]>([
    ['changed   /assets/index-1.js: SHA-256', '/assets/index-1.js', { body: 'two' }],
    ['changed   /assets/index-1.js: larger than 3 bytes', '/assets/index-1.js', { body: 'one ' }],
    ['changed   /: SHA-256', '/', { body: '<title>tussah</title>' }],
    ['changed   /contribute: SHA-256', '/contribute', { body: '<title>tussah</title>' }],
    [
      'missing   /service-worker.js: the server answers with status 404',
      '/service-worker.js',
      { status: 404 },
    ],
    ['missing   /: the server answers with status 302', '/', { status: 302, headers: { location: '/x' } }],
    ['missing   /release.json: the server answers with status 404', '/release.json', { status: 404 }],
    ['changed   /release.json: not the list of a release', '/release.json', { body: '{}' }],
    [
      'header    /: content-security-policy is "", expected "default-src',
      '/',
      { headers: { 'content-security-policy': '' } },
    ],
    [
      'header    /: content-type is "text/plain", expected "text/html',
      '/',
      { headers: { 'content-type': 'text/plain' } },
    ],
    ['signature /release.sig.json: bad_signature', '/release.sig.json', { body: '{}' }],
  ])('says: %s', async (line, path, answer) => {
    other.set(path, answer);
    const { status, out } = await verify();
    expect(out).toContain(line);
    expect(out).toMatch(/\ndifferent\n$/);
    expect(status).toBe(1);
  });

  it('by a file more says which', async () => {
    const served = release({ keys: [key], files: [...readBuild(join(folder, 'dist'))] });
    served.files.unshift({ path: 'assets/evil.js', size: 1, sha256: 'a'.repeat(64) });
    served.files.sort((a, b) => (a.path < b.path ? -1 : 1));
    other.set('/release.json', { body: textOfRelease(served) });
    expect((await verify()).out).toContain('extra     /assets/evil.js: not in the build\n');
  });

  it('cannot write on the terminal', async () => {
    other.set('/', { headers: { 'content-type': 'a\u009b31mred' } });
    expect((await verify()).out).toContain('\\u{9b}31mred');
  });
});

describe('what can’t be judged', () => {
  it.each<[string, () => string[], RegExp]>([
    ['no URL', () => ['--json'], /One URL is needed/],
    ['two URLs', () => [url(), url()], /One URL is needed/],
    ['a page of a site', () => [`${url()}/contribute`], /is not the address of a site/],
    ['a file', () => ['file:///etc/passwd'], /is not the address of a site/],
    ['an unknown flag', () => [url(), '--evil'], /--evil/],
    ['no build', () => [url(), '--build', join(folder, 'nothing')], /There is no build/],
    [
      'a server that is not there',
      () => ['http://127.0.0.1:1', '--build', join(folder, 'dist')],
      /can't be fetched/,
    ],
  ])('%s', async (_, args, message) => {
    const { status, error, out } = await verify(...args());
    expect(error).toMatch(message);
    expect([status, out]).toEqual([2, '']);
  });

  it('a build that is not what its own list says', async () => {
    write('dist/assets/index-1.js', 'two');
    expect(await verify()).toMatchObject({
      status: 2,
      error: expect.stringContaining('not those of its own'),
    });
    write('dist/release.json', '{}');
    expect(await verify()).toMatchObject({
      status: 2,
      error: expect.stringContaining('not that of a build'),
    });
  });
});

describe('signing', () => {
  const sign = (...keys: string[]) =>
    signBuild(
      join(folder, 'dist'),
      keys.map((name) => join(folder, name)),
      1000,
    );

  it('is refused for a build that is not what its list says', () => {
    write('dist/assets/index-1.js', 'two');
    expect(() => sign('key.pem')).toThrow('are not those that release.json lists');
  });

  it('needs a key that the build names; others may sign beside it', () => {
    newKey(join(folder, 'old.pem'));
    expect(() => sign('old.pem')).toThrow('None of these keys');
    sign('old.pem', 'key.pem');
    expect(JSON.parse(read('release.sig.json'))).toMatchObject({ signatures: [{}, { key }] });
  });

  it('never writes a key over another', () => {
    expect(() => newKey(join(folder, 'key.pem'))).toThrow('EEXIST');
  });
});
