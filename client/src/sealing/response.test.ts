/** Sealed answers: whole, in order, from the one machine that was asked, or refused. */
import { base64OfBytes, bytesOfBase64 } from '@tussah/protocol/private/base64';
import { suiteNames } from '@tussah/protocol/private/header';
import type { ChunkPayload } from '@tussah/protocol/private/inner-request';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { openRequest } from './open-request.ts';
import { chunkPlaintextBytes, payloadBytes } from './padding.ts';
import type { ResponseOpener } from './response.ts';
import { chunksOf, newTestJob, openingOf, sealerOf, type Chunk, type TestJob } from './sealing-fixture.ts';

const nonce = 'ab'.repeat(32);
const end = { finishReason: 'stop', promptTokens: 12, completionTokens: 3 } as const;
const answer: readonly ChunkPayload[] = [{ text: 'A moth' }, {}, { text: ' of silk.', end }, {}];

const codeOf = async (opener: ResponseOpener, chunk: Chunk): Promise<string> => {
  const result = await opener.open(chunk);
  return result.ok ? 'opened' : result.failure.code;
};

describe.each(suiteNames)('an answer sealed with %s', (suite) => {
  let job: TestJob;
  beforeAll(async () => {
    job = await newTestJob(suite);
  });
  const openerOf = (candidate: number, responseNonce = nonce): Promise<ResponseOpener> => {
    const response = job.sealed.responses[candidate];
    if (response === undefined) throw new Error(`there is no candidate ${candidate}`);
    return response.open(responseNonce);
  };

  it('is opened by the client, chunk by chunk', async () => {
    const sealer = await sealerOf(job, 1, nonce);
    const opener = await openerOf(1);
    const chunks = await chunksOf(sealer, answer);
    for (const [i, chunk] of chunks.entries()) {
      expect(opener.closed).toBe(false);
      expect(await opener.open(chunk)).toEqual({ ok: true, value: answer[i] });
    }
    expect(opener.closed).toBe(true);
    expect([opener.chunks, sealer.chunks]).toEqual([4, 4]);
    expect(opener.transcript()).toBe(sealer.transcript());
  });

  it('is not opened as that of another candidate, who knows the body key', async () => {
    const forged = await chunksOf(await sealerOf(job, 2, nonce), answer);
    const opener = await openerOf(1);
    expect(await codeOf(opener, forged[0] as Chunk)).toBe('chunk_forged');
    expect([opener.chunks, opener.closed]).toEqual([0, false]);
  });

  it('is not opened with another nonce: the same job answered twice has other keys', async () => {
    const [first] = await chunksOf(await sealerOf(job, 0, nonce), answer);
    expect(await codeOf(await openerOf(0, 'cd'.repeat(32)), first as Chunk)).toBe('chunk_forged');
    const [again] = await chunksOf(await sealerOf(job, 0, 'cd'.repeat(32)), answer);
    expect(again?.data).not.toBe(first?.data);
  });

  it('is not opened as that of another job', async () => {
    const other = await newTestJob(suite);
    const [chunk] = await chunksOf(await sealerOf(other, 0, nonce), answer);
    expect(await codeOf(await openerOf(0), chunk as Chunk)).toBe('chunk_forged');
  });
});

describe('a chunk', () => {
  let job: TestJob;
  let chunks: Chunk[];
  beforeAll(async () => {
    job = await newTestJob('x25519-hkdf-sha256-aes256gcm', { nodes: 1 });
    chunks = await chunksOf(await sealerOf(job, 0, nonce), answer);
  });
  const newOpener = async (): Promise<ResponseOpener> => {
    const [response] = job.sealed.responses;
    if (response === undefined) throw new Error('one was made');
    return response.open(nonce);
  };
  /** Opens the first so many chunks. */
  const openerAfter = async (opened: number): Promise<ResponseOpener> => {
    const opener = await newOpener();
    for (const chunk of chunks.slice(0, opened)) expect(await codeOf(opener, chunk)).toBe('opened');
    return opener;
  };
  const chunkAt = (i: number): Chunk => {
    const chunk = chunks[i];
    if (chunk === undefined) throw new Error(`there is no chunk ${i}`);
    return chunk;
  };

  it('is refused when any byte of it was changed', async () => {
    const bytes = bytesOfBase64(chunkAt(0).data, 1_000) ?? new Uint8Array();
    expect(bytes.length).toBe(256 + 16);
    for (let i = 0; i < bytes.length; i++) {
      const flipped = bytes.slice();
      flipped[i] = (flipped[i] ?? 0) ^ (1 << (i % 8));
      const chunk = { ...chunkAt(0), data: base64OfBytes(flipped) };
      expect(await codeOf(await newOpener(), chunk)).toBe('chunk_forged');
    }
  });

  it.each([
    ['was repeated', 1, () => chunkAt(0)],
    ['was left out', 1, () => chunkAt(2)],
    ['comes before the first', 0, () => ({ ...chunkAt(0), index: -1 })],
    ['has no whole number', 0, () => ({ ...chunkAt(0), index: 0.5 })],
    ['comes after the last', 4, () => ({ ...chunkAt(0), index: 4 })],
    ['comes again after the last', 4, () => chunkAt(3)],
  ])('that %s is refused as out of order', async (_, opened, chunk) => {
    expect(await codeOf(await openerAfter(opened), chunk())).toBe('chunk_out_of_order');
  });

  it.each([
    ['was repeated under the next number', 1, () => ({ ...chunkAt(0), index: 1 })],
    ['took the place of another', 1, () => ({ ...chunkAt(2), index: 1 })],
    ['is said to be the last', 1, () => ({ ...chunkAt(1), last: true })],
    ['is the last and said not to be', 3, () => ({ ...chunkAt(3), last: false })],
    ['is empty', 0, () => ({ ...chunkAt(0), data: '' })],
    ['is no base64', 0, () => ({ ...chunkAt(0), data: '\u0000' })],
    ['was cut', 0, () => ({ ...chunkAt(0), data: chunkAt(0).data.slice(0, -4) })],
    [
      'is too large',
      0,
      () => ({ ...chunkAt(0), data: 'A'.repeat(4 * Math.ceil(privateLimits.chunkBytes / 3) + 4) }),
    ],
    ['is in the clear', 0, () => ({ ...chunkAt(0), data: btoa('{"text":"A moth"}') })],
  ])('that %s is refused as forged', async (_, opened, chunk) => {
    expect(await codeOf(await openerAfter(opened), chunk())).toBe('chunk_forged');
  });

  it('that is missing at the end leaves the answer open', async () => {
    expect((await openerAfter(3)).closed).toBe(false);
  });

  it('that is good does not mend an answer in which one was bad', async () => {
    const opener = await openerAfter(1);
    expect(await codeOf(opener, chunkAt(2))).toBe('chunk_out_of_order');
    expect(await codeOf(opener, chunkAt(1))).toBe('chunk_out_of_order');
    expect(opener.chunks).toBe(1);
  });

  it('is opened in its turn when all come at once', async () => {
    const opener = await newOpener();
    const results = await Promise.all(chunks.map((chunk) => opener.open(chunk)));
    expect(results.map((result) => result.ok && result.value)).toEqual(answer);
  });

  it('is opened under one nonce only, which has 32 bytes', async () => {
    const [response] = job.sealed.responses;
    for (const wrong of ['', 'ab'.repeat(31), 'AB'.repeat(32), 'xy'.repeat(32)])
      await expect(response?.open(wrong)).rejects.toThrow(RangeError);
  });

  describe('of a node that is out of its mind', () => {
    const sealed = async (payloads: readonly unknown[]): Promise<Chunk[]> =>
      chunksOf(await sealerOf(job, 0, nonce), payloads as ChunkPayload[]);

    it.each([
      ['text after an end', [{ end }, { text: 'x' }]],
      ['a second end', [{ text: 'x', end }, { end }]],
      ['an end after a failure', [{ failed: { code: 'upstream_failed' } }, { end }]],
    ])('is refused: %s', async (_, payloads) => {
      const [first, second] = await sealed(payloads);
      const opener = await newOpener();
      expect(await codeOf(opener, first as Chunk)).toBe('opened');
      expect(await codeOf(opener, second as Chunk)).toBe('chunk_forged');
    });

    it.each([
      ['no object', null],
      ['a member that there is not', { tool: 'x' }],
      ['half a surrogate pair', { text: '\ud800' }],
      ['a failure of its own making', { failed: { code: 'x' } }],
      ['counts below zero', { end: { ...end, promptTokens: -1 } }],
    ])('is refused: %s', async (_, payload) => {
      const [chunk] = await sealed([payload]);
      expect(await codeOf(await newOpener(), chunk as Chunk)).toBe('chunk_forged');
    });
  });
});

describe('a sealer', () => {
  const newSealer = async () =>
    sealerOf(await newTestJob('x25519-hkdf-sha256-aes256gcm', { nodes: 1 }), 0, nonce);

  it('seals nothing after the last chunk', async () => {
    const sealer = await newSealer();
    await sealer.seal({ end }, 256, true);
    await expect(sealer.seal({}, 256, false)).rejects.toThrow('after the last');
    await expect(sealer.seal({}, 256, true)).rejects.toThrow('after the last');
    expect(sealer.chunks).toBe(1);
  });

  it('numbers and hashes in order, however many are asked for at once', async () => {
    const sealer = await newSealer();
    const chunks = await Promise.all(Array.from({ length: 50 }, () => sealer.seal({}, 64, false)));
    expect(chunks.map(({ index }) => index)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(new Set(chunks.map(({ data }) => data)).size).toBe(50);
  });

  it('is given once for each opened job: two under one nonce would have the same keys', async () => {
    const job = await newTestJob('x25519-hkdf-sha256-aes256gcm', { nodes: 1 });
    const opened = await openRequest(openingOf(job));
    expect(opened.ok && (await opened.value.sealer(nonce)).chunks).toBe(0);
    if (opened.ok) await expect(opened.value.sealer('cd'.repeat(32))).rejects.toThrow('answered once');
  });

  it('refuses a payload that does not fit, and goes on', async () => {
    const sealer = await newSealer();
    await expect(sealer.seal({ text: 'x'.repeat(300) }, 256, false)).rejects.toThrow(RangeError);
    expect((await sealer.seal({}, 256, false)).index).toBe(0);
  });
});

describe('any answer', () => {
  const payload = fc.oneof(
    fc.constant<ChunkPayload>({}),
    fc.string({ unit: 'grapheme', maxLength: 30 }).map((text): ChunkPayload => ({ text })),
  );

  it('comes out as it went in, under each padding', async () => {
    const job = await newTestJob('x25519-hkdf-sha256-aes256gcm', { nodes: 1 });
    await fc.assert(
      fc.asyncProperty(
        fc.array(payload, { maxLength: 12 }),
        fc.constantFrom('none', 'buckets', 'paced' as const),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        async (payloads, padding, drawn) => {
          const responseNonce = Array.from(drawn, (byte) => byte.toString(16).padStart(2, '0')).join('');
          const sealer = await sealerOf(job, 0, responseNonce);
          const opener = await job.sealed.responses[0]?.open(responseNonce);
          const whole = [...payloads, { end }];
          for (const [i, each] of whole.entries()) {
            const last = i === whole.length - 1;
            const size = chunkPlaintextBytes(padding, payloadBytes(each));
            const chunk = await sealer.seal(each, size, last);
            expect(bytesOfBase64(chunk.data, 20_000)?.length).toBe(size + 16);
            expect(await opener?.open({ ...chunk, last })).toEqual({ ok: true, value: each });
          }
          expect(opener?.transcript()).toBe(sealer.transcript());
        },
      ),
      { numRuns: 40 },
    );
  });
});
