import { sha256Hex } from '@tussah/protocol/bytes';
import { domains, newIdentity, sign, type Identity } from '@tussah/protocol/signatures';
import { textOfRelease } from '@tussah/protocol/site/release';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { FakeCaches } from './fake-caches.ts';
import { SiteGuard } from './site-guard.ts';

let key: Identity;
let stranger: Identity;
beforeAll(async () => {
  [key, stranger] = await Promise.all([newIdentity(), newIdentity()]);
});

/** What the server sends, by address; a number is a status. */
let server: Map<string, string | number>;
let asked: string[];
let caches: FakeCaches;
let changes: number;
let reachable: boolean;

beforeEach(() => {
  server = new Map();
  asked = [];
  caches = new FakeCaches();
  changes = 0;
  reachable = true;
});

/** A worker that browsers start anew has nothing but what is kept. */
const newGuard = (development = false) =>
  new SiteGuard({
    fetch: async (address) => {
      if (!reachable) throw new TypeError('Failed to fetch');
      asked.push(address);
      const answer = server.get(address) ?? 404;
      return typeof answer === 'number' ? new Response(null, { status: answer }) : new Response(answer);
    },
    caches: caches as unknown as CacheStorage,
    now: () => 42,
    development,
    onChange: () => (changes += 1),
  });

const LARGE = 'x'.repeat(600_000);
const first: Readonly<Record<string, string>> = {
  'assets/engine-1.wasm': LARGE,
  'assets/index-1.js': 'one',
  'index.html': '<title>1</title>',
  'models/tiny.gguf': 'GGUF',
  'service-worker.js': 'worker',
};
const second: Readonly<Record<string, string>> = {
  'assets/index-2.js': 'two',
  'index.html': '<title>2</title>',
  'service-worker.js': 'worker',
};

interface Publication {
  readonly version?: string;
  readonly signer?: Identity | null;
  readonly atMs?: number;
}

async function publish(
  files: Readonly<Record<string, string>>,
  { version = '1.0.0', signer = key, atMs = 1000 }: Publication = {},
): Promise<void> {
  const text = textOfRelease({
    format: 'tussah-release/1',
    version,
    inputs: { node: '24.0.0', lockSha256: 'c'.repeat(64) },
    keys: [key.publicKey],
    files: Object.entries(files).map(([path, content]) => ({
      path,
      size: content.length,
      sha256: sha256Hex(content),
    })),
  });
  server = new Map<string, string | number>([['/release.json', text]]);
  for (const [path, content] of Object.entries(files))
    server.set(path === 'index.html' ? '/' : `/${path}`, content);
  if (signer === null) return;
  const statement = { release: sha256Hex(text), version, issuedAtMs: atMs };
  const signature = await sign(signer, domains.siteRelease, statement);
  server.set(
    '/release.sig.json',
    JSON.stringify({ statement, signatures: [{ key: signer.publicKey, signature }] }),
  );
}

const publishNext = (publication: Publication = {}) =>
  publish(second, { version: '1.1.0', atMs: 2000, ...publication });

async function served(guard: SiteGuard, path: string): Promise<string | undefined> {
  const answer = await guard.serve(path);
  if (answer === undefined) return undefined;
  return answer.response.type === 'error' ? 'error' : answer.response.text();
}

const refusalOf = async (guard: SiteGuard) => (await guard.report(null)).refusal;
const versionOf = async (guard: SiteGuard) => (await guard.report(null)).installed?.version;

describe('the first release', () => {
  it('is kept at once but for engines and models', async () => {
    await publish(first);
    await newGuard().install();
    expect(asked).toEqual([
      '/release.json',
      '/release.sig.json',
      '/assets/index-1.js',
      '/',
      '/service-worker.js',
    ]);
  });

  it('is served without a server, with headers of our own', async () => {
    await publish(first);
    await newGuard().install();
    reachable = false;
    const answer = await newGuard().serve('index.html', 404);
    expect(answer?.response.status).toBe(404);
    expect(answer?.response.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(answer?.response.headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(await served(newGuard(), 'assets/index-1.js')).toBe('one');
    expect(await served(newGuard(), 'assets/engine-1.wasm')).toBe('error');
    expect(await served(newGuard(), 'assets/other.js')).toBeUndefined();
  });

  it.each<[string, string, () => void]>([
    [
      'assets/index-1.js is not what the release says',
      'a file is another',
      () => server.set('/assets/index-1.js', 'evil'),
    ],
    [
      'service-worker.js is not what the release says',
      'a file is missing',
      () => server.delete('/service-worker.js'),
    ],
    ['the server publishes no release', 'there is no list', () => server.delete('/release.json')],
    ['the server does not send index.html', 'the server fails', () => server.set('/', 503)],
  ])('is not installed: %s, since %s', async (message, _, spoil) => {
    await publish(first);
    spoil();
    await expect(newGuard().install()).rejects.toThrow(message);
    expect((await newGuard().report(null)).installed).toBeNull();
  });

  it('stays when another worker is installed, whatever the server has then', async () => {
    await publish(first);
    await newGuard().install();
    await publishNext({ signer: stranger });
    await newGuard().install();
    expect(await versionOf(newGuard())).toBe('1.0.0');
  });

  it('says who signed it, and that nobody did', async () => {
    await publish(first);
    await newGuard().install();
    expect((await newGuard().report('p')).installed?.signed).toEqual({
      key: key.publicKey,
      issuedAtMs: 1000,
    });
    await newGuard().forget();
    await publish(first, { signer: null });
    await newGuard().install();
    expect((await newGuard().report('p')).installed?.signed).toBeNull();
    await publish(first);
    await newGuard().check();
    expect((await newGuard().report('p')).installed?.signed).toEqual({
      key: key.publicKey,
      issuedAtMs: 1000,
    });
  });
});

describe('a file', () => {
  beforeEach(async () => {
    await publish(first);
    await newGuard().install();
  });

  it('that is large is fetched when it is wanted, and kept', async () => {
    expect(await served(newGuard(), 'assets/engine-1.wasm')).toBe(LARGE);
    reachable = false;
    expect(await served(newGuard(), 'assets/engine-1.wasm')).toBe(LARGE);
  });

  it.each(['y'.repeat(600_000), `${LARGE}x`, '', LARGE.slice(1)])(
    'that the server sends otherwise is refused',
    async (content) => {
      server.set('/assets/engine-1.wasm', content);
      const guard = newGuard();
      expect(await served(guard, 'assets/engine-1.wasm')).toBe('error');
      await guard.check();
      expect(await refusalOf(guard)).toMatchObject({
        code: 'file_changed',
        paths: ['assets/engine-1.wasm'],
        atMs: 42,
      });
      // Another worker keeps looking at it, until it is right.
      await newGuard().check();
      expect(await refusalOf(newGuard())).not.toBeNull();
      server.set('/assets/engine-1.wasm', LARGE);
      await newGuard().check();
      expect(await refusalOf(newGuard())).toBeNull();
    },
  );

  it('that was damaged in the browser is fetched anew', async () => {
    for (const cache of caches.entries()) if (cache.has('/')) cache.set('/', new Uint8Array([1]));
    expect(await served(newGuard(), 'index.html')).toBe(first['index.html']);
  });
});

describe('a check', () => {
  beforeEach(async () => {
    await publish(first);
    await newGuard().install();
    changes = 0;
  });

  it('says nothing when nothing changed', async () => {
    await newGuard().check();
    expect(changes).toBe(0);
  });

  it.each(['/', '/service-worker.js'])(
    'notices that %s is another, though the list is not',
    async (address) => {
      server.set(address, 'evil');
      await newGuard().check();
      expect(await refusalOf(newGuard())).toMatchObject({ code: 'file_changed' });
      expect(await served(newGuard(), 'index.html')).toBe(first['index.html']);
      expect(changes).toBe(1);
    },
  );

  it.each<[string, () => void]>([
    ['it is away', () => (reachable = false)],
    ['it fails', () => server.set('/release.json', 502)],
    ['it has had enough', () => server.set('/release.json', 429)],
    ['only its page fails', () => server.set('/', 500)],
  ])('says nothing about a server when %s', async (_, spoil) => {
    spoil();
    await newGuard().check();
    expect(await refusalOf(newGuard())).toBeNull();
  });

  it.each<[string, string, () => void | Promise<void>]>([
    ['release_missing', 'no list', () => void server.delete('/release.json')],
    ['malformed_release', 'a list that is none', () => void server.set('/release.json', '<html>')],
    ['release_missing', 'an endless list', () => void server.set('/release.json', ' '.repeat(2 ** 20 + 1))],
    ['unsigned_release', 'an unsigned release', () => publishNext({ signer: null })],
    ['unknown_key', 'a stranger’s release', () => publishNext({ signer: stranger })],
    ['rolled_back', 'an older release', () => publishNext({ atMs: 999 })],
    [
      'bad_signature',
      'a broken signature',
      async () => {
        await publishNext();
        server.set('/release.sig.json', '{}');
      },
    ],
    [
      'file_changed',
      'a signed release with another file',
      async () => {
        await publishNext();
        server.set('/assets/index-2.js', 'evil');
      },
    ],
  ])('refuses with %s: %s', async (code, _, spoil) => {
    await spoil();
    await newGuard().check();
    expect(await refusalOf(newGuard())).toMatchObject({ code });
    expect(await versionOf(newGuard())).toBe('1.0.0');
    expect(await served(newGuard(), 'index.html')).toBe(first['index.html']);
  });

  it('moves on to a signed release, and keeps the files of open pages', async () => {
    await publishNext();
    await newGuard().check();
    expect(await versionOf(newGuard())).toBe('1.1.0');
    expect(await served(newGuard(), 'index.html')).toBe(second['index.html']);
    expect(await served(newGuard(), 'assets/index-1.js')).toBe('one');
    await publish({ ...second, 'index.html': '<title>3</title>' }, { version: '1.2.0', atMs: 3000 });
    await newGuard().check();
    expect(await served(newGuard(), 'assets/index-1.js')).toBeUndefined();
    expect((await caches.keys()).length).toBe(3);
  });

  it('asks again when it is asked for while one runs', async () => {
    const guard = newGuard();
    const running = guard.check();
    await publishNext();
    await Promise.all([running, guard.check()]);
    expect(await versionOf(guard)).toBe('1.1.0');
  });

  it('leaves no half release behind when the server goes away in between', async () => {
    await publishNext();
    server.set('/', 503);
    await expect(newGuard().check()).rejects.toThrow('the server does not send index.html');
    expect(await versionOf(newGuard())).toBe('1.0.0');
    expect(await served(newGuard(), 'index.html')).toBe(first['index.html']);
  });
});

describe('in development', () => {
  it('each build is taken, and what is none is ignored', async () => {
    await publish(first);
    await newGuard(true).install();
    await publish(second, { version: '0.9.0', signer: null });
    await newGuard(true).check();
    expect(await versionOf(newGuard(true))).toBe('0.9.0');
    server.set('/release.json', '<html>');
    await newGuard(true).check();
    server.delete('/release.json');
    await newGuard(true).check();
    expect(await newGuard(true).report(null)).toMatchObject({ mode: 'development', refusal: null });
  });
});
