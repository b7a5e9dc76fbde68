import { createHash } from 'node:crypto';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ExpectedFile, readVerified, shardsOf } from './verify-download.ts';

const hash = (name: string, data: Uint8Array) => createHash(name).update(data).digest('hex');
const data = new TextEncoder().encode('weights of a model');
const url = 'https://host.example/m/weights.bin';
const good: ExpectedFile = { url, bytes: data.length, sha256: hash('sha256', data) };

function streamOf(
  chunks: readonly Uint8Array[],
  onCancel: () => void = () => {},
): ReadableStream<Uint8Array> {
  const left = [...chunks];
  return new ReadableStream({
    pull(controller) {
      const chunk = left.shift();
      if (chunk) controller.enqueue(chunk);
      else controller.close();
    },
    cancel: onCancel,
  });
}
const read = (expected: ExpectedFile, chunks: readonly Uint8Array[] = [data]) =>
  readVerified(streamOf(chunks), expected);

test('a file that meets its promise comes back whole, however it was cut', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.uint8Array(), { maxLength: 8 }), async (chunks) => {
      const whole = new Uint8Array(Buffer.concat(chunks));
      const result = await read({ url, bytes: whole.length, sha256: hash('sha256', whole) }, chunks);
      expect(result).toEqual({
        ok: true,
        value: { data: whole, bytes: whole.length, sha256: hash('sha256', whole), verified: true },
      });
    }),
  );
});

test('progress is told in bytes so far', async () => {
  const seen: number[] = [];
  await readVerified(streamOf([data.slice(0, 5), data.slice(5)]), good, (bytes) => seen.push(bytes));
  expect(seen).toEqual([5, data.length]);
});

describe('refused, with a code and a remedy', () => {
  const flipped = data.map((byte, i) => (i === 3 ? byte ^ 1 : byte));
  test.each<[string, ExpectedFile, Uint8Array[], string]>([
    ['one flipped bit', good, [flipped], 'download_hash_mismatch'],
    ['a byte too many', good, [data, Uint8Array.of(0)], 'download_too_large'],
    ['a byte too few', good, [data.slice(1)], 'download_too_short'],
    ['a wrong MD5 sum', { url, md5: hash('md5', data) }, [flipped], 'download_hash_mismatch'],
  ])('%s', async (_name, expected, chunks, code) => {
    const result = await read(expected, chunks);
    expect(result.ok || result.failure.code).toBe(code);
    expect(result.ok || result.failure.remedy).not.toBe('');
  });

  test('a download that breaks off', async () => {
    const broken = new ReadableStream<Uint8Array>({
      start(controller) {
        controller.error(new Error('connection reset'));
      },
    });
    const result = await readVerified(broken, good);
    expect(result.ok || result.failure.code).toBe('download_interrupted');
  });
});

test('an oversized download is stopped, not read to its end', async () => {
  let cancelled = false;
  const endless = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(data),
    cancel: () => {
      cancelled = true;
    },
  });
  const result = await readVerified(endless, good);
  expect(result.ok || result.failure.code).toBe('download_too_large');
  expect(cancelled).toBe(true);
});

test('a file without a promised SHA-256 is not called verified', async () => {
  const result = await read({ url, bytes: data.length, md5: hash('md5', data) });
  expect(result.ok && result.value.verified).toBe(false);
});

describe('the index of an MLC model', () => {
  const record = {
    dataPath: 'params_shard_0.bin',
    format: 'raw-shard',
    nbytes: data.length,
    records: [],
    md5sum: hash('md5', data),
  };
  const indexUrl = 'https://host.example/m/tensor-cache.json';

  test('gives the shards beside it, which can be checked by size and MD5', async () => {
    const shards = shardsOf({ metadata: {}, records: [record] }, indexUrl);
    if (!shards.ok) throw new Error(shards.failure.message);
    expect(shards.value).toEqual([
      { url: 'https://host.example/m/params_shard_0.bin', bytes: data.length, md5: record.md5sum },
    ]);
    expect((await read(shards.value[0] ?? { url }, [data])).ok).toBe(true);
  });

  test.each([
    ['another folder', { records: [{ ...record, dataPath: '../x.bin' }] }],
    ['another host', { records: [{ ...record, dataPath: '//evil.example/x' }] }],
    ['a negative size', { records: [{ ...record, nbytes: -1 }] }],
    ['no records', { records: [] }],
    ['nothing', null],
  ])('is refused when it names %s', (_name, index) => {
    const shards = shardsOf(index, indexUrl);
    expect(shards.ok || shards.failure.code).toBe('download_index_malformed');
  });
});
