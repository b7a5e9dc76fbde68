/** Sealed requests: a candidate reads its own, and nothing that anybody has touched. */
import { base64OfBytes, bytesOfBase64 } from '@tussah/protocol/private/base64';
import { SealedRequestSchema, suiteNames, type SealedHeader } from '@tussah/protocol/private/header';
import type { InnerRequest } from '@tussah/protocol/private/inner-request';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { openRequest, type Opening } from './open-request.ts';
import { bundleName, innerOf, newTestJob, newTestNode, openingOf, type TestJob } from './sealing-fixture.ts';
import { sealRequest, sealWith } from './seal-request.ts';
import { destroyNodeKeys, newNodeKeys } from './suites.ts';

const codeOf = async (opening: Opening): Promise<string> => {
  const result = await openRequest(opening);
  return result.ok ? 'opened' : result.failure.code;
};

const withHeader = (opening: Opening, changes: Partial<SealedHeader>): Opening => ({
  ...opening,
  header: { ...opening.header, ...changes },
});

/** Each with one bit of one byte flipped. */
function* flips(text: string): Generator<string> {
  const bytes = bytesOfBase64(text, text.length) ?? new Uint8Array();
  for (let i = 0; i < bytes.length; i++) {
    const flipped = bytes.slice();
    flipped[i] = (flipped[i] ?? 0) ^ (1 << (i % 8));
    yield base64OfBytes(flipped);
  }
}

/** Seals something else than what the header is compared with, as a client that lies would. */
async function sealLie(job: TestJob, lie: unknown): Promise<TestJob> {
  const inner = { ...job.inner, toJSON: () => lie } as InnerRequest;
  const recipients = job.nodes.map(({ bundle, keys }) => ({ bundle, hpkePublicKey: keys.publicKey }));
  return { ...job, sealed: await sealRequest({ header: job.header, inner, recipients }) };
}

describe.each(suiteNames)('a request sealed with %s', (suite) => {
  it('is opened by each candidate alone', async () => {
    const job = await newTestJob(suite);
    expect(v.is(SealedRequestSchema, JSON.parse(JSON.stringify(job.sealed.request)))).toBe(true);
    for (const candidate of [0, 1, 2]) {
      const opened = await openRequest(openingOf(job, candidate));
      expect(opened).toMatchObject({ ok: true, value: { inner: job.inner } });
      expect(opened.ok && opened.value.headerHash).toBe(job.sealed.headerHash);
    }
  });

  it('is opened whatever its text is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 3_000 }), async (text) => {
        const job = await newTestJob(suite, { nodes: 1, content: text.toWellFormed() });
        expect(await openRequest(openingOf(job))).toMatchObject({ ok: true, value: { inner: job.inner } });
      }),
      { numRuns: 25 },
    );
  });

  it('shows nothing of its content, and only its padded size', async () => {
    const [short, long] = await Promise.all([
      newTestJob(suite, { content: 'yes' }),
      newTestJob(suite, { content: 'a longer question '.repeat(20) }),
    ]);
    expect(JSON.stringify(long.sealed.request)).not.toContain('question');
    expect(JSON.stringify(long.sealed.request).length).toBe(JSON.stringify(short.sealed.request).length);
  });

  it('is refused when any byte of it was changed', async () => {
    const job = await newTestJob(suite, { nodes: 1 });
    const opening = openingOf(job);
    const { wrap, body } = opening;
    for (const enc of flips(wrap.enc))
      expect(await codeOf({ ...opening, wrap: { ...wrap, enc } })).toBe('unopenable');
    for (const wrapped of flips(wrap.wrapped))
      expect(await codeOf({ ...opening, wrap: { ...wrap, wrapped } })).toBe('unopenable');
    for (const changed of flips(body)) expect(await codeOf({ ...opening, body: changed })).toBe('unopenable');
    expect(await codeOf(opening)).toBe('opened');
  }, 60_000);

  it.each([
    ['jobId', { jobId: `job_${'1'.repeat(24)}` }],
    ['model', { model: 'other' }],
    ['modelDigest', { modelDigest: '34'.repeat(32) }],
    ['maxPromptTokens', { maxPromptTokens: 513 }],
    ['maxTokens', { maxTokens: 65 }],
    ['maxPriceNano', { maxPriceNano: '1000001' }],
    ['padding', { padding: 'none' }],
    ['notAfterMs', { notAfterMs: 1_800_000_000_001 }],
  ] satisfies [string, Partial<SealedHeader>][])('is refused with another %s', async (_, changes) => {
    const opening = openingOf(await newTestJob(suite));
    expect(await codeOf(withHeader(opening, changes))).toBe('unopenable');
  });

  it('is refused when a candidate was put in, left out or moved', async () => {
    const opening = openingOf(await newTestJob(suite));
    const [first = '', second = '', third = ''] = opening.header.candidates;
    for (const candidates of [
      [first],
      [first, second],
      [first, third, second],
      [first, second, 'ab'.repeat(32)],
    ])
      expect(await codeOf(withHeader(opening, { candidates }))).toBe('unopenable');
    // Moved with its place, it is still the node's own bundle.
    const moved = withHeader(opening, { candidates: [second, first, third] });
    expect(await codeOf({ ...moved, candidate: 1 })).toBe('unopenable');
  });

  it('is refused by whoever is not the candidate', async () => {
    const job = await newTestJob(suite);
    const opening = openingOf(job);
    const stranger = await newTestNode(suite);
    expect(await codeOf({ ...opening, keys: stranger.keys })).toBe('unopenable');
    expect(await codeOf({ ...opening, keys: stranger.keys, bundle: bundleName(stranger) })).toBe(
      'key_rotated',
    );
    expect(await codeOf({ ...opening, candidate: 1 })).toBe('key_rotated');
    for (const candidate of [-1, 3, 0.5, Number.NaN])
      expect(await codeOf({ ...opening, candidate })).toBe('key_rotated');
  });

  it('is refused with the wrap of another candidate, and with the body of another job', async () => {
    const [job, other] = await Promise.all([newTestJob(suite), newTestJob(suite)]);
    const opening = openingOf(job);
    expect(await codeOf({ ...opening, wrap: openingOf(job, 1).wrap })).toBe('unopenable');
    const { enc } = openingOf(job, 1).wrap;
    expect(await codeOf({ ...opening, wrap: { ...opening.wrap, enc } })).toBe('unopenable');
    expect(await codeOf({ ...opening, body: openingOf(other).body })).toBe('unopenable');
  });

  it('is refused when it was sealed for another bundle with the same keys', async () => {
    const job = await newTestJob(suite, { nodes: 1 });
    const bundle = 'ab'.repeat(32);
    const opening = withHeader(openingOf(job), { candidates: [bundle] });
    expect(await codeOf({ ...opening, bundle })).toBe('unopenable');
  });

  it('is refused in another suite', async () => {
    const [other = suite] = suiteNames.filter((name) => name !== suite);
    const opening = openingOf(await newTestJob(suite));
    expect(await codeOf(withHeader(opening, { suite: other }))).toBe('header_mismatch');
    const keys = await newNodeKeys(other);
    expect(await codeOf({ ...opening, keys })).toBe('header_mismatch');
    expect(await codeOf({ ...withHeader(opening, { suite: other }), keys })).toBe('unopenable');
  });

  it.each([
    ['nothing', ''],
    ['no base64', '****'],
    ['one byte', 'AA=='],
    ['a point of low order, or the like', undefined],
    ['more than it takes', 'A'.repeat(2_000)],
  ])('is refused with an encapsulated key of %s', async (_, enc) => {
    const opening = openingOf(await newTestJob(suite));
    const zeros = base64OfBytes(new Uint8Array(suite.startsWith('xwing') ? 1_120 : 32));
    expect(await codeOf({ ...opening, wrap: { ...opening.wrap, enc: enc ?? zeros } })).toBe('unopenable');
  });

  it('is refused with a wrap or a body of a wrong size', async () => {
    const opening = openingOf(await newTestJob(suite));
    for (const wrapped of ['', 'AAAA', base64OfBytes(new Uint8Array(49))])
      expect(await codeOf({ ...opening, wrap: { ...opening.wrap, wrapped } })).toBe('unopenable');
    const tooLarge = base64OfBytes(new Uint8Array(privateLimits.bodyBytes + 1));
    for (const body of ['', 'AAAA', tooLarge, opening.body.slice(0, -4), `${opening.body}AAAA`])
      expect(await codeOf({ ...opening, body })).toBe('unopenable');
  });

  it('is refused when inside and outside do not agree', async () => {
    const job = await newTestJob(suite, { nodes: 1 });
    const codeOfLie = async (lie: unknown): Promise<string> => codeOf(openingOf(await sealLie(job, lie)));
    expect(await codeOfLie({ ...job.inner, jobId: `job_${'1'.repeat(24)}` })).toBe('header_mismatch');
    expect(await codeOfLie({ ...job.inner, model: 'other' })).toBe('header_mismatch');
    expect(await codeOfLie({ ...job.inner, maxTokens: 65 })).toBe('header_mismatch');
    expect(await codeOfLie({ ...job.inner })).toBe('opened');
  });

  it.each([
    ['no object', null],
    ['nothing in it', {}],
    ['a member too many', { ...innerOf('x'), tools: [] }],
    ['no messages', { ...innerOf('x'), messages: [] }],
    ['a role that there is not', { ...innerOf('x'), messages: [{ role: 'tool', content: 'x' }] }],
    ['half a surrogate pair', innerOf('\ud800')],
    ['a version that there is not', { ...innerOf('x'), version: 2 }],
  ])('is refused with %s', async (_, lie) => {
    const job = await newTestJob(suite, { nodes: 1 });
    expect(await codeOf(openingOf(await sealLie(job, lie)))).toBe('unopenable');
  });

  it('is opened when many are sealed and opened at once', async () => {
    const jobs = await Promise.all(Array.from({ length: 12 }, () => newTestJob(suite)));
    const opened = await Promise.all(
      jobs.flatMap((job) => [0, 1, 2].map(async (candidate) => openRequest(openingOf(job, candidate)))),
    );
    for (const [i, result] of opened.entries())
      expect(result).toMatchObject({ ok: true, value: { inner: jobs[Math.floor(i / 3)]?.inner } });
  });

  it('opens no more once the keys are destroyed', async () => {
    const job = await newTestJob('xwing-hkdf-sha256-aes256gcm', { nodes: 1 });
    const opening = openingOf(job);
    destroyNodeKeys(opening.keys);
    expect(await codeOf(opening)).toBe('unopenable');
  });
});

describe('sealing', () => {
  const [suite] = suiteNames;

  it('never draws the same twice', async () => {
    const job = await newTestJob(suite, { nodes: 1 });
    const recipients = job.nodes.map(({ bundle, keys }) => ({ bundle, hpkePublicKey: keys.publicKey }));
    const again = await sealRequest({ header: job.header, inner: job.inner, recipients });
    expect(again.request.body).not.toBe(job.sealed.request.body);
    expect(again.request.wraps).not.toEqual(job.sealed.request.wraps);
  });

  it('overwrites the body key, also when it fails', async () => {
    const { header, inner, nodes } = await newTestJob(suite, { nodes: 1 });
    const recipients = nodes.map(({ bundle, keys }) => ({ bundle, hpkePublicKey: keys.publicKey }));
    const keys = [1, 2].map((byte) => new Uint8Array(32).fill(byte));
    const [good = new Uint8Array(), bad = new Uint8Array()] = keys;
    await sealWith({ header, inner, recipients }, { bodyKey: good });
    await expect(sealWith({ header, inner, recipients: [] }, { bodyKey: bad })).rejects.toThrow(RangeError);
    expect(keys).toEqual([new Uint8Array(32), new Uint8Array(32)]);
  });

  it('is refused for what no candidate could open', async () => {
    const { header, inner, nodes } = await newTestJob(suite, { nodes: 2 });
    const recipients = nodes.map(({ bundle, keys }) => ({ bundle, hpkePublicKey: keys.publicKey }));
    const [one, two] = recipients;
    if (one === undefined || two === undefined) throw new Error('two were made');
    const refused = (sealing: Partial<Parameters<typeof sealRequest>[0]>) =>
      expect(sealRequest({ header, inner, recipients, ...sealing })).rejects.toThrow(RangeError);
    await refused({ recipients: [one] });
    await refused({ recipients: [two, one] });
    await refused({ recipients: [one, { ...two, hpkePublicKey: 'ab'.repeat(32) }] });
    await refused({ recipients: [one, { ...two, hpkePublicKey: 'not a key' }] });
    await refused({ recipients: [one, { ...two, hpkePublicKey: '00'.repeat(two.hpkePublicKey.length) }] });
    await refused({
      recipients: [one, { ...two, hpkePublicKey: 'ff'.repeat(two.hpkePublicKey.length / 2) }],
    });
    await refused({ inner: { ...inner, jobId: `job_${'1'.repeat(24)}` } });
    await refused({ inner: { ...inner, model: 'other' } });
    await refused({ inner: { ...inner, maxTokens: 65 } });
    await refused({ inner: innerOf('x'.repeat(700_000), header.jobId) });
  });

  it('keeps private keys of X25519 out of reach', async () => {
    const { privateKey } = await newNodeKeys('x25519-hkdf-sha256-aes256gcm');
    expect(privateKey.extractable).toBe(false);
    await expect(crypto.subtle.exportKey('pkcs8', privateKey)).rejects.toThrow(/extractable/);
  });
});
