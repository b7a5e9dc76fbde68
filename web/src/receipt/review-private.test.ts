import { newId } from '@tussah/protocol/ids';
import { signPrivateReceipt } from '@tussah/protocol/private/check-receipt';
import { signNodeReceipt } from '@tussah/protocol/private/sign-statements';
import { newIdentity } from '@tussah/protocol/signatures';
import { describe, expect, it } from 'vitest';
import type { Proof } from '../private/proof.ts';
import { reviewPrivateReceipt } from './review-private.ts';

const price = { promptNanoPerMillion: '1000000', completionNanoPerMillion: '4000000' };

/** An honest receipt, with all that a browser knows of the job. */
async function honest(): Promise<Proof> {
  const [coordinator, receiptKey] = await Promise.all([newIdentity(), newIdentity()]);
  const facts = {
    jobId: newId('job'),
    bundle: '3'.repeat(64),
    identity: '4'.repeat(64),
    model: 'tussah-tiny',
    promptTokens: 5,
    completionTokens: 10,
    price,
  };
  const node = await signNodeReceipt(receiptKey, {
    version: 1,
    headerHash: '1'.repeat(64),
    outcome: 'complete',
    chunks: 8,
    transcript: '2'.repeat(64),
    atMs: 1,
    ...facts,
  });
  const receipt = await signPrivateReceipt(coordinator, {
    version: 1,
    id: newId('rcp'),
    createdAtMs: 1,
    tier: 'private',
    payer: 'guest',
    node,
    receiptKey: receiptKey.publicKey,
    heldNano: '1000',
    chargedNano: '45',
    networkFeeBasisPoints: 0,
    networkFeeNano: '0',
    payNano: '45',
    coordinator: coordinator.publicKey,
  });
  const expected = { ...facts, coordinator: coordinator.publicKey, receiptKey: receiptKey.publicKey };
  return { receipt, expected, failure: null };
}

describe('reviewPrivateReceipt', () => {
  it('passes an honest receipt, each check with its claim', async () => {
    const review = await reviewPrivateReceipt(await honest());
    expect(review).toMatchObject({ valid: true, verdict: 'This browser checked it: 14 of 14 passed.' });
    expect(review.checks.filter(({ claim }) => claim.includes('does not know'))).toEqual([]);
  });

  it.each([
    ['receiptKey', '5'.repeat(64), 'receipt key'],
    ['coordinator', '5'.repeat(64), 'coordinator'],
    ['completionTokens', 11, 'completionTokens'],
    ['bundle', '5'.repeat(64), 'bundle'],
  ])('refuses one of another %s than this browser knows', async (name, value, failed) => {
    const proof = await honest();
    const review = await reviewPrivateReceipt({ ...proof, expected: { ...proof.expected, [name]: value } });
    expect(review.verdict).toBe('Do not rely on it: 1 of 14 checks failed.');
    expect(review.checks.filter(({ ok }) => !ok).map((check) => check.name)).toEqual([failed]);
  });

  it('does not forget what was wrong when the answer came', async () => {
    const failure = { code: 'receipt_mismatch', message: 'It does not agree.', remedy: 'Keep it.' };
    expect(await reviewPrivateReceipt({ ...(await honest()), failure })).toMatchObject({
      valid: false,
      verdict: 'Do not rely on it. It does not agree.',
    });
  });
});
