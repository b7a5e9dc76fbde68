import { beforeEach, expect, test } from 'vitest';
import { expectedOf, fileOf } from './build-files.ts';
import { codeOf, never } from './contract-tools.ts';
import { MODEL_CACHE, ModelFiles } from './download.ts';
import { tinyGguf } from './tiny-subject.ts';

beforeEach(() => caches.delete(MODEL_CACHE));

test('a second start needs no network, and damage in the cache is found', async () => {
  const weights = fileOf(await tinyGguf(), 'weights', ({ role }) => role === 'weights');
  const expected = expectedOf(weights);
  const first = await new ModelFiles().read(expected, never());
  expect(first.size).toBe(weights.bytes);

  const offline = new ModelFiles({
    fetch: () => Promise.reject(new TypeError('offline')),
    openCache: () => caches.open(MODEL_CACHE),
    pause: async () => {},
  });
  expect((await offline.read(expected, never())).size).toBe(first.size);

  const cache = await caches.open(MODEL_CACHE);
  const [request] = await cache.keys();
  const bytes = new Uint8Array(await first.arrayBuffer());
  bytes[1000] = (bytes[1000] ?? 0) ^ 1;
  await cache.put(request ?? '', new Response(bytes));
  expect(await codeOf(offline.read(expected, never()))).toBe('download_failed');
});
