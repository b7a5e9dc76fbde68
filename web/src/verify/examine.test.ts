import { NOW, policy as simulated, world } from '@tussah/attestation/testing/world';
import { makeBundle } from '@tussah/attestation/simulated/bundle';
import { sha256Hex } from '@tussah/protocol/bytes';
import { newId } from '@tussah/protocol/ids';
import { signPrivateReceipt } from '@tussah/protocol/private/check-receipt';
import { signNodeReceipt } from '@tussah/protocol/private/sign-statements';
import { newIdentity } from '@tussah/protocol/signatures';
import { describe, expect, it } from 'vitest';
import { examine } from './examine.ts';
import { verifyLimits, type Finding } from './findings.ts';
import { headlineOf } from './headline.ts';

const policy = JSON.stringify(simulated);
const strict = JSON.stringify({ ...simulated, simulatedRoots: [] });

/** Findings for these texts, judged now by the simulated policy. */
async function found(texts: readonly string[], more: { policy?: string; atMs?: number | null } = {}) {
  const items = texts.map((text, id) => ({ id, name: `${id}.json`, text }));
  const findings = await examine({ items, policy, atMs: null, ...more }, NOW);
  return findings.map(({ finding }) => finding);
}
const failedSteps = (finding: Finding | undefined) =>
  finding?.kind === 'bundle'
    ? finding.verdict.steps.filter(({ status }) => status === 'failed').map(({ id }) => id)
    : [];
const failedChecks = (finding: Finding | undefined) =>
  finding?.kind === 'receipt' ? finding.checks.filter(({ ok }) => !ok).map(({ name }) => name) : [];

/** A bundle and a receipt that its machine signed. */
async function pair() {
  const [coordinator, receiptKey, identity] = await Promise.all([
    newIdentity(),
    newIdentity(),
    newIdentity(),
  ]);
  const bundle = JSON.stringify(await makeBundle(world, { statement: { receiptKey: receiptKey.publicKey } }));
  const node = await signNodeReceipt(receiptKey, {
    version: 1,
    jobId: newId('job'),
    headerHash: '1'.repeat(64),
    bundle: sha256Hex(bundle),
    identity: identity.publicKey,
    model: 'tussah-tiny',
    outcome: 'complete',
    promptTokens: 5,
    completionTokens: 10,
    price: { promptNanoPerMillion: '1000000', completionNanoPerMillion: '4000000' },
    chunks: 8,
    transcript: '2'.repeat(64),
    atMs: NOW,
  });
  const receipt = await signPrivateReceipt(coordinator, {
    version: 1,
    id: newId('rcp'),
    createdAtMs: NOW,
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
  return { bundle, receipt };
}

describe('examine', () => {
  it('judges a bundle by the policy chosen, and shows every step', async () => {
    const { bundle } = await pair();
    const [finding] = await found([bundle]);
    expect(finding).toMatchObject({
      kind: 'bundle',
      name: sha256Hex(bundle),
      verdict: { verdict: 'accepted' },
    });
    expect(finding && headlineOf(finding)).toMatchObject({ tone: 'simulated', simulated: true });
    const [rejected] = await found([bundle], { policy: strict });
    expect(rejected && headlineOf(rejected)).toMatchObject({ tone: 'bad', verdict: 'Bundle: rejected' });
  });

  it('prefers a policy that was given beside it, wherever it stands', async () => {
    const { bundle } = await pair();
    const [finding, given] = await found([bundle, strict], { policy });
    expect(finding).toMatchObject({ verdict: { verdict: 'rejected' } });
    expect(given).toMatchObject({ kind: 'policy', simulated: false });
  });

  it('judges for the moment that was asked for', async () => {
    const { bundle } = await pair();
    expect(failedSteps((await found([bundle], { atMs: NOW + 86_400_000 }))[0])).toContain('bundle.not-after');
  });

  it('names the step that a changed bundle fails', async () => {
    const { bundle } = await pair();
    const changed = bundle.replace('"image":"simulated-node"', '"image":"another-node"');
    expect(failedSteps((await found([changed]))[0])).toEqual(
      expect.arrayContaining(['bundle.image', 'tdx.report-data']),
    );
  });

  it('checks a private receipt, and says what the evidence would add', async () => {
    const { receipt } = await pair();
    const [finding] = await found([JSON.stringify(receipt)]);
    expect(finding).toMatchObject({ kind: 'receipt', tier: 'private', valid: true, answer: false });
    expect(finding?.kind === 'receipt' && finding.notes.join()).toContain('Add the bundle');
  });

  it('checks it against its machine’s evidence where that is there', async () => {
    const { bundle, receipt } = await pair();
    const [finding] = await found([JSON.stringify(receipt), bundle]);
    expect(finding).toMatchObject({ valid: true, simulated: true });
    expect(finding && headlineOf(finding)).toMatchObject({ tone: 'simulated', simulated: true });
    expect(finding?.kind === 'receipt' && finding.checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['receipt key', 'evidence']),
    );
    const [rejected] = await found([JSON.stringify(receipt), bundle], { policy: strict });
    expect(failedChecks(rejected)).toEqual(['evidence']);
  });

  it('refuses a receipt that was changed, or signed by another key than its machine’s', async () => {
    const { bundle, receipt } = await pair();
    const [changed] = await found([JSON.stringify({ ...receipt, chargedNano: '46' })]);
    expect(failedChecks(changed)).toEqual(expect.arrayContaining(['coordinator signature', 'charge']));
    const other = await pair();
    const foreign = { ...other.receipt.node.receipt, bundle: sha256Hex(bundle) };
    const forged = { ...other.receipt, node: { ...other.receipt.node, receipt: foreign } };
    expect(failedChecks((await found([JSON.stringify(forged), bundle]))[0])).toContain('receipt key');
  });

  it('takes the receipt out of a whole answer, and compares the two', async () => {
    const { receipt } = await pair();
    const { jobId } = receipt.node.receipt;
    const usage = { prompt_tokens: 5, completion_tokens: 10, total_tokens: 15 };
    const answer = { object: 'chat.completion', model: 'tussah-tiny', usage, tussah: { jobId, receipt } };
    expect((await found([JSON.stringify(answer)]))[0]).toMatchObject({ valid: true, answer: true });
    const another = { ...answer, model: 'large', usage: { ...usage, completion_tokens: 9 } };
    expect(failedChecks((await found([JSON.stringify(another)]))[0])).toEqual([
      'answer model',
      'answer usage',
    ]);
  });

  it.each([
    ['what is not JSON', 'data: {', 'not_json'],
    ['a list', '[]', 'not_recognised'],
    ['another object', '{"hello":1}', 'not_recognised'],
    ['an answer without a receipt', '{"object":"chat.completion"}', 'no_receipt'],
    ['a broken policy', '{"images":[],"lifetimeMaxMs":1}', 'bad_policy'],
    ['too much', ' '.repeat(verifyLimits.bytes + 1), 'too_large'],
  ])('can not judge %s', async (_, text, code) => {
    expect(await found([text])).toMatchObject([{ kind: 'unreadable', failure: { code } }]);
  });

  it.each([
    '{"statement":{},"machine":{}}',
    '{"statement":1,"machine":null,"gpus":[[[[]]]]}',
    '{"signature":1,"coordinator":{},"node":{"receipt":{"usage":[]}},"createdAtMs":1e300,"chargedNano":"x"}',
    '{"signature":"","coordinator":"","usage":{},"createdAtMs":null}',
  ])('finds fault with %s, and breaks on none of it', async (text) => {
    const [finding] = await found([text]);
    expect(finding && headlineOf(finding).tone).toBe('bad');
    expect(structuredClone(finding)).toEqual(finding);
  });

  it('looks at no more than so many things', async () => {
    expect(await found(Array.from({ length: 12 }, () => '{}'))).toHaveLength(verifyLimits.items);
  });
});
