/** Each statement of a node is signed in a domain of its own: none passes for another. */
import { beforeAll, expect, it } from 'vitest';
import type { Canonical } from '../canonical.ts';
import { domains, newIdentity, verifySignature, type Identity } from '../signatures.ts';
import {
  signHead,
  signNodeReceipt,
  signOffer,
  signRefusal,
  verifyHead,
  verifyNodeReceipt,
  verifyOffer,
  verifyRefusal,
} from './sign-statements.ts';
import type { NodeOffer, NodeReceipt, NodeRefusal } from './statements.ts';
import { Transcript } from './transcript.ts';

const hex = (byte: string): string => byte.repeat(32);
const price = { promptNanoPerMillion: '1', completionNanoPerMillion: '2' };
const offer: NodeOffer = {
  coordinator: hex('01'),
  identity: hex('02'),
  bundle: hex('03'),
  epochNonce: hex('04'),
  model: 'tiny',
  price,
  contextTokens: 4_096,
  concurrency: 2,
};
const refusal: NodeRefusal = {
  jobId: `job_${'0'.repeat(24)}`,
  headerHash: hex('05'),
  bundle: hex('03'),
  code: 'busy',
  atMs: 7,
};
const receipt: NodeReceipt = {
  version: 1,
  jobId: refusal.jobId,
  headerHash: refusal.headerHash,
  bundle: refusal.bundle,
  identity: offer.identity,
  model: 'tiny',
  outcome: 'complete',
  promptTokens: 1,
  completionTokens: 2,
  price,
  chunks: 8,
  transcript: hex('06'),
  atMs: 8,
};

let key: Identity;
let other: Identity;
beforeAll(async () => {
  [key, other] = await Promise.all([newIdentity(), newIdentity()]);
});

it('holds for its key and as it is, and for nothing else', async () => {
  const signature = await signOffer(key, offer);
  expect(await verifyOffer(key.publicKey, offer, signature)).toBe(true);
  expect(await verifyOffer(other.publicKey, offer, signature)).toBe(false);
  expect(await verifyOffer(key.publicKey, { ...offer, contextTokens: 4_097 }, signature)).toBe(false);

  const refused = await signRefusal(key, refusal);
  expect(await verifyRefusal(key.publicKey, refused)).toBe(true);
  expect(await verifyRefusal(other.publicKey, refused)).toBe(false);
  const replayed = { ...refusal, code: 'replayed' as const };
  expect(await verifyRefusal(key.publicKey, { ...refused, refusal: replayed })).toBe(false);

  const signed = await signNodeReceipt(key, receipt);
  expect(await verifyNodeReceipt(key.publicKey, signed)).toBe(true);
  expect(await verifyNodeReceipt(other.publicKey, signed)).toBe(false);
  const more = { ...receipt, promptTokens: 2 };
  expect(await verifyNodeReceipt(key.publicKey, { ...signed, receipt: more })).toBe(false);
});

it('stands in the domain that the specification names, and in no other', async () => {
  const head = await signHead(key, { size: 0, rootHash: hex('07'), atMs: 9 });
  expect(await verifyHead(head)).toBe(true);
  const { signature: headSignature, ...headStatement } = head;
  const statements: [string, unknown, string][] = [
    ['tussah-node-offer/1', offer, await signOffer(key, offer)],
    ['tussah-node-refusal/1', refusal, (await signRefusal(key, refusal)).signature],
    ['tussah-node-receipt/1', receipt, (await signNodeReceipt(key, receipt)).signature],
    ['tussah-directory/1', headStatement, headSignature],
  ];
  for (const [domain, value, signature] of statements)
    for (const each of Object.values(domains))
      expect(await verifySignature(key.publicKey, each, value as Canonical, signature)).toBe(each === domain);
});

it('counts chunks by their length: other cuts of the same bytes have another transcript', () => {
  const transcriptOf = (...chunks: number[][]): string => {
    const transcript = new Transcript();
    for (const chunk of chunks) transcript.add(Uint8Array.from(chunk));
    return transcript.hash();
  };
  const all = [[1, 2, 3], [1, 2], [1], []].map((chunk, i) => transcriptOf(chunk, [1, 2, 3].slice(3 - i)));
  expect(new Set(all).size).toBe(4);
  expect(transcriptOf([1], [2])).not.toBe(transcriptOf([2], [1]));
  expect(transcriptOf()).not.toBe(transcriptOf([]));
});
