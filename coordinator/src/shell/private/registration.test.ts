/** Which nodes come into the directory: real evidence formats under simulated roots, over a real socket. */
import { describe, expect, it } from 'vitest';
import type { BundleChanges } from '@tussah/attestation/simulated/bundle';
import { sha256Hex } from '@tussah/protocol/bytes';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { NodeList } from '@tussah/protocol/private/directory';
import { newIdentity } from '@tussah/protocol/signatures';
import { startPrivateNetwork, type PrivateNetwork } from './private-harness.ts';
import type { ScriptedNodeOptions } from './scripted-node.ts';

const says = () => ['hi'];
const listOf = async (tier: PrivateNetwork) => (await tier.network.get<NodeList>('/v1/nodes')).nodes;

/** The step at which a node's evidence was refused. */
async function refusedAt(options: Partial<ScriptedNodeOptions>, tier?: PrivateNetwork): Promise<string> {
  const network = tier ?? (await startPrivateNetwork());
  const node = await network.connect(says, options);
  const { code } = await node.refused();
  expect(code).toBe('evidence_rejected');
  expect(await listOf(network)).toEqual([]);
  const { code: step } = await network.network.logged('evidence-refused');
  return String(step);
}

describe('a node with fresh, right evidence', () => {
  it.each([
    ['TDX', {}],
    ['SEV-SNP', { machine: 'snp' }],
  ] satisfies [string, BundleChanges][])('comes in: %s', async (_, evidence) => {
    const tier = await startPrivateNetwork();
    const node = await tier.node(says, { evidence });
    expect((await listOf(tier)).map(({ entry }) => entry.bundle)).toEqual([node.epoch.bundle]);
  });

  it('comes in with X-Wing keys', async () => {
    const tier = await startPrivateNetwork();
    await tier.node(says, { suite: 'xwing-hkdf-sha256-aes256gcm' });
    expect(await listOf(tier)).toHaveLength(1);
  });

  it('comes in under a policy that lists its model with its digest and configuration', async () => {
    const models = { 'confidential-70b': { digest: '12'.repeat(32), configs: ['34'.repeat(32)] } };
    const tier = await startPrivateNetwork({ policy: (policy) => ({ ...policy, models }) });
    await tier.node(says);
    expect(await listOf(tier)).toHaveLength(1);
  });

  it('comes in anew with each epoch, and is listed once', async () => {
    const tier = await startPrivateNetwork({ core: { epochIntervalMs: 0 } });
    const node = await tier.node(says);
    const first = node.epoch.bundle;
    node.send({ type: 'epoch-request' });
    await node.frame('attested', 1);
    expect(node.epoch.bundle).not.toBe(first);
    expect((await listOf(tier)).map(({ entry }) => entry.bundle)).toEqual([node.epoch.bundle]);
  });
});

const hours = (n: number) => n * 3_600_000;
const bare = (text: string) => ({ bundleText: () => text });

describe('a node is refused at the step that fails', () => {
  it.each<[string, string, () => Partial<ScriptedNodeOptions>]>([
    ['expired', 'bundle.not-after', () => ({ evidence: { statement: { notAfterMs: Date.now() - 1 } } })],
    [
      'longer than allowed',
      'bundle.lifetime',
      () => ({ evidence: { statement: { notAfterMs: Date.now() + hours(48) } } }),
    ],
    ['revoked', 'gpu-0.ocsp.status', () => ({ evidence: { gpus: [{ ocsp: { status: 'revoked' } }] } })],
    [
      'from the future',
      'gpu-0.ocsp.dates',
      () => ({ evidence: { gpus: [{ ocsp: { thisUpdateMs: Date.now() + hours(1), nextUpdateMs: null } }] } }),
    ],
    [
      'in debug mode',
      'tdx.td.debug',
      () => ({ evidence: { tdx: { body: { tdAttributes: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) } } } }),
    ],
    [
      'of an unknown status',
      'tdx.tcb-info.format',
      () => ({
        evidence: {
          tdx: {
            tcbInfo: { tcbLevels: [{ tcb: {}, tcbDate: '2026-01-01T00:00:00Z', tcbStatus: 'Sparkling' }] },
          },
        },
      }),
    ],
    ['without a GPU', 'bundle.gpus', () => ({ evidence: { gpus: [] } })],
    [
      'with a GPU whose firmware is not the confidential one',
      'gpu-0.measurements',
      () => ({ evidence: { gpus: [{ measurements: { 3: new Uint8Array(48) } }] } }),
    ],
    [
      'with a GPU in protected PCIe mode',
      'gpu-0.mode',
      () => ({ evidence: { gpus: [{ opaque: { 21: Uint8Array.of(0xaa), 36: Uint8Array.of(2, 0) } }] } }),
    ],
    ['of another image', 'bundle.image', () => ({ evidence: { statement: { image: 'other' } } })],
    [
      'for another nonce',
      'bundle.epoch',
      () => ({ evidence: { statement: { epochNonce: 'ab'.repeat(32) } } }),
    ],
    [
      'with an offer for another nonce',
      'offer.epochNonce',
      () => ({ offer: { epochNonce: 'ab'.repeat(32) } }),
    ],
    [
      'with an offer to another coordinator',
      'offer.coordinator',
      () => ({ offer: { coordinator: 'ab'.repeat(32) } }),
    ],
    ['that pays somebody else', 'offer.identity', () => ({ offer: { identity: 'ab'.repeat(32) } })],
    ['with an offer for another bundle', 'offer.bundle', () => ({ offer: { bundle: 'ab'.repeat(32) } })],
    [
      "with another node's bundle",
      'offer.signature',
      () => ({ evidence: { statement: { receiptKey: 'ab'.repeat(32) } } }),
    ],
    [
      'whose receipt key was not attested',
      'tdx.report-data',
      () => ({ evidence: { presented: { receiptKey: 'ab'.repeat(32) } } }),
    ],
    ['that is not JSON', 'bundle.format', () => bare('{')],
    ['that is nested deeply', 'bundle.format', () => bare('['.repeat(500_000))],
    [
      'that is nested deeply, and closed',
      'bundle.format',
      () => bare(`${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}`),
    ],
  ])('%s', async (_, step, options) => {
    expect(await refusedAt(options())).toBe(step);
  });

  it('simulated, under a policy that names no simulated roots', async () => {
    const tier = await startPrivateNetwork({ policy: (policy) => ({ ...policy, simulatedRoots: [] }) });
    expect(await refusedAt({}, tier)).toMatch(/root$/);
  });

  it.each([
    ['model', 'offer.model', { other: { digest: '12'.repeat(32) } }],
    ['digest', 'bundle.model', { 'confidential-70b': { digest: '13'.repeat(32) } }],
    [
      'configuration',
      'bundle.config',
      { 'confidential-70b': { digest: '12'.repeat(32), configs: ['35'.repeat(32)] } },
    ],
  ])('with a %s that the policy does not list', async (_, step, models) => {
    const tier = await startPrivateNetwork({ policy: (policy) => ({ ...policy, models }) });
    expect(await refusedAt({}, tier)).toBe(step);
  });
});

describe('a nonce', () => {
  it('is good for one bundle', async () => {
    const tier = await startPrivateNetwork();
    const node = await tier.node(says);
    await node.attest(node.epoch.offer.epochNonce);
    expect((await node.refused()).code).toBe('epoch_nonce_unknown');
  });

  it('cannot be answered with the bundle and the offer of somebody else', async () => {
    const tier = await startPrivateNetwork();
    const identity = await newIdentity();
    const first = await tier.node(says, { identity });
    const { text, offer } = first.epoch;
    const thief = await tier.connect(says, {
      bundleText: () => text,
      offer: { ...offer, bundle: sha256Hex(text) },
    });
    expect((await thief.refused()).message).toContain('identity');
    expect(await listOf(tier)).toHaveLength(1);
  });

  it('ends the session of whoever sends a bundle that is too large', async () => {
    const tier = await startPrivateNetwork();
    const large = await tier.connect(says, bare('x'.repeat(privateLimits.bundleCharacters + 1)));
    expect((await large.refused()).code).toBe('malformed_frame');
    const larger = await tier.connect(says, bare('x'.repeat(privateLimits.nodeFrameBytes)));
    expect((await larger.refused()).closeCode).toBe(1009);
  });
});

it('more nodes at once than are verified at once wait for their turn', async () => {
  const tier = await startPrivateNetwork();
  await Promise.all(Array.from({ length: 6 }, () => tier.node(says)));
  expect(await listOf(tier)).toHaveLength(6);
});
