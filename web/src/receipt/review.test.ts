import type { EngineProfile } from '@tussah/protocol/engine-profile';
import { newId } from '@tussah/protocol/ids';
import { costOf, priceFromWire } from '@tussah/protocol/money';
import { segmentStatement, type Receipt, type ReceiptBody } from '@tussah/protocol/receipts';
import { domains, newIdentity, sign } from '@tussah/protocol/signatures';
import { describe, expect, it } from 'vitest';
import { reviewReceipt } from './review.ts';

const price = { promptNanoPerMillion: '1000000', completionNanoPerMillion: '4000000' };
const profile: EngineProfile = {
  engine: 'fake',
  version: '1',
  prefix: 'ids',
  seedBlock: 16,
  replay: 'bit-exact',
};

/** A receipt as the network makes it: one segment of ten tokens, without a fee. */
async function signedReceipt(): Promise<Receipt> {
  const coordinator = await newIdentity();
  const contributor = await newIdentity();
  const chargedNano = costOf(priceFromWire(price), 5, 10).toString();
  const facts = {
    jobId: newId('job'),
    contributor: contributor.publicKey,
    model: 'tussah-tiny',
    build: 'b',
    seedRoot: '1',
    promptHash: '0'.repeat(64),
    firstPosition: 0,
    tokens: 10,
    idsHash: '1'.repeat(64),
    end: 'stop' as const,
  };
  const segment = {
    contributor: contributor.publicKey,
    build: 'b',
    profile,
    firstPosition: 0,
    tokens: 10,
    billedTokens: 10,
    promptTokens: 5,
    idsHash: facts.idsHash,
    end: facts.end,
    price,
    chargedNano,
    payNano: chargedNano,
    signature: await sign(contributor, domains.segment, segmentStatement(facts)),
  };
  const body: ReceiptBody = {
    version: 1,
    id: newId('rcp'),
    jobId: facts.jobId,
    createdAtMs: 1,
    tier: 'public',
    model: facts.model,
    outcome: 'complete',
    finishReason: 'stop',
    payer: 'guest',
    seedRoot: facts.seedRoot,
    promptHash: facts.promptHash,
    usage: { promptTokens: 5, completionTokens: 10 },
    segments: [segment],
    chargedNano,
    networkFeeBasisPoints: 0,
    networkFeeNano: '0',
    coordinator: coordinator.publicKey,
  };
  return { ...body, signature: await sign(coordinator, domains.receipt, body) };
}

const usage = { prompt_tokens: 5, completion_tokens: 10, total_tokens: 15 };

describe('reviewReceipt', () => {
  it('passes an honest receipt, each check with its claim', async () => {
    const receipt = await signedReceipt();
    const review = await reviewReceipt(receipt, {
      jobId: receipt.jobId,
      usage,
      coordinator: receipt.coordinator,
    });
    expect(review).toMatchObject({ valid: true, verdict: 'This browser checked it: 9 of 9 passed.' });
    expect(review.checks.filter((check) => check.claim.includes('does not know'))).toEqual([]);
  });

  it.each([
    ['another job', { jobId: 'job_other' }, 'this answer'],
    ['other tokens', { usage: { ...usage, completion_tokens: 11 } }, 'this answer'],
    ['another coordinator', { coordinator: '2'.repeat(64) }, 'coordinator'],
  ])('refuses the receipt of %s', async (_, seen, failed) => {
    const receipt = await signedReceipt();
    const review = await reviewReceipt(receipt, {
      jobId: receipt.jobId,
      usage,
      coordinator: undefined,
      ...seen,
    });
    expect(review.valid).toBe(false);
    expect(review.verdict).toMatch(/^Do not rely on it: 1 of/);
    expect(review.checks.filter((check) => !check.ok).map((check) => check.name)).toEqual([failed]);
  });

  it('refuses a receipt that was changed', async () => {
    const receipt = { ...(await signedReceipt()), model: 'another' };
    const review = await reviewReceipt(receipt, { jobId: receipt.jobId, usage, coordinator: undefined });
    expect(review.checks.filter((check) => !check.ok).map((check) => check.name)).toEqual([
      'coordinator signature',
      'segment 1 signature',
    ]);
  });
});
