import { sha256Hex } from '@tussah/protocol/bytes';
import { beforeEach, describe, expect, test } from 'vitest';
import { codeOf, never } from './contract-tools.ts';
import { type DownloadParts, ModelFiles } from './download.ts';

const content = new Uint8Array(50_000).map((_, i) => (i * 7) % 251);
const file = { url: 'https://host.invalid/a.bin', bytes: content.length, sha256: sha256Hex(content) };

class MemoryCache {
  readonly entries = new Map<string, Response>();
  full = false;
  async match(key: string) {
    return this.entries.get(key)?.clone();
  }
  async put(key: string, response: Response) {
    if (this.full) throw new DOMException('no room', 'QuotaExceededError');
    this.entries.set(key, response);
  }
  async delete(key: string) {
    return this.entries.delete(key);
  }
}

let cache: MemoryCache;
let requests: (string | null)[];
beforeEach(() => {
  cache = new MemoryCache();
  requests = [];
});

type Answer = (range: string | null, attempt: number) => Response | Promise<Response>;
const storeWith = (answer: Answer, parts: Partial<DownloadParts> = {}) =>
  new ModelFiles({
    fetch: async (_url, init) => {
      const range = new Headers(init.headers).get('range');
      requests.push(range);
      return answer(range, requests.length);
    },
    openCache: async () => cache as unknown as Cache,
    pause: async () => {},
    ...parts,
  });

const whole: Answer = () => new Response(content);
const bytesOf = async (blob: Blob) => new Uint8Array(await blob.arrayBuffer());

/** A body that gives some bytes and breaks off. */
const broken = (bytes: Uint8Array<ArrayBuffer>, status = 200) =>
  new Response(
    new ReadableStream<Uint8Array>({
      start: (controller) => controller.enqueue(bytes),
      pull: (controller) => controller.error(new TypeError('network error')),
    }),
    { status },
  );

describe('a file of a model', () => {
  test('is downloaded once, with progress, and then read from the cache', async () => {
    const seen: number[] = [];
    const first = await storeWith(whole).read(file, never(), (bytes) => seen.push(bytes));
    expect(await bytesOf(first)).toEqual(content);
    expect(seen[0]).toBe(0);
    expect(seen.at(-1)).toBe(content.length);
    const again = await storeWith(() => Promise.reject(new Error('offline'))).read(file, never());
    expect(await bytesOf(again)).toEqual(content);
    expect(requests.length).toBe(1);
  });

  test('with other bytes than promised is refused and not kept', async () => {
    const other = content.slice();
    other[5] = 0;
    expect(await codeOf(storeWith(() => new Response(other)).read(file, never()))).toBe('file_corrupt');
    expect(cache.entries.size).toBe(0);
  });

  test.for([
    ['shorter', content.slice(1)],
    ['longer', new Uint8Array(content.length + 1)],
  ] as const)('%s than promised is refused', async ([, bytes]) => {
    expect(await codeOf(storeWith(() => new Response(bytes)).read(file, never()))).toBe('file_corrupt');
  });

  test('damaged in the cache is downloaded again', async () => {
    await storeWith(whole).read(file, never());
    const [key] = cache.entries.keys();
    cache.entries.set(key ?? '', new Response('damaged'));
    expect(await bytesOf(await storeWith(whole).read(file, never()))).toEqual(content);
    expect(requests.length).toBe(2);
  });

  test('without a promised hash must stay what it was when it was first seen', async () => {
    const loose = { url: file.url };
    await storeWith(whole).read(loose, never());
    const [key] = cache.entries.keys();
    const kept = cache.entries.get(key ?? '');
    cache.entries.set(key ?? '', new Response('other', { headers: kept?.headers ?? {} }));
    expect(await bytesOf(await storeWith(whole).read(loose, never()))).toEqual(content);
    expect(requests.length).toBe(2);
  });

  test('is usable when there is no room to keep it', async () => {
    cache.full = true;
    expect(await bytesOf(await storeWith(whole).read(file, never()))).toEqual(content);
    expect(
      await bytesOf(await storeWith(whole, { openCache: async () => null }).read(file, never())),
    ).toEqual(content);
  });

  test('goes on where it broke off, when the host can', async () => {
    const store = storeWith((range) =>
      range === null
        ? broken(content.slice(0, 20_000))
        : new Response(content.slice(20_000), { status: 206 }),
    );
    expect(await bytesOf(await store.read(file, never()))).toEqual(content);
    expect(requests).toEqual([null, 'bytes=20000-']);
  });

  test('starts over when the host can’t', async () => {
    const store = storeWith((_, attempt) =>
      attempt === 1 ? broken(content.slice(0, 20_000)) : new Response(content),
    );
    expect(await bytesOf(await store.read(file, never()))).toEqual(content);
  });

  test('that keeps breaking off is given up', async () => {
    expect(await codeOf(storeWith(() => broken(content.slice(0, 10))).read(file, never()))).toBe(
      'download_failed',
    );
    expect(requests.length).toBe(3);
  });

  test('that the host does not have is not asked for again', async () => {
    const store = storeWith(() => new Response('', { status: 404 }));
    expect(await codeOf(store.read(file, never()))).toBe('download_failed');
    expect(requests.length).toBe(1);
  });

  test('an abort stops the download', async () => {
    const abort = new AbortController();
    const store = storeWith(whole);
    expect(await codeOf(store.read(file, abort.signal, () => abort.abort()))).toBe('aborted');
    expect(await codeOf(store.read(file, AbortSignal.abort()))).toBe('aborted');
    expect(cache.entries.size).toBe(0);
  });
});
