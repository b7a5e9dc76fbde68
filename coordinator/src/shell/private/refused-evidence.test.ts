/** Evidence that is refused twice: by the coordinator at registration, and by a client whose coordinator lists it all the same. */
import type { BundleChanges } from '@tussah/attestation/simulated/bundle';
import type { Policy } from '@tussah/attestation/policy/policy';
import { clientOf, codeOf, policy as clientPolicy, world } from '@tussah/client/private/testing/asking';
import { makeNode, MODEL, ScriptedNode as ListedNode } from '@tussah/client/private/testing/scripted-node';
import { ScriptedPrivateCoordinator } from '@tussah/client/private/testing/scripted-private-coordinator';
import { sha256Hex } from '@tussah/protocol/bytes';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { signOffer } from '@tussah/protocol/private/sign-statements';
import { expect, it } from 'vitest';
import { startPrivateNetwork } from './private-harness.ts';
import { MODEL_DIGEST, NODE_MODEL } from './scripted-node.ts';

interface Wrong {
  readonly evidence?: (nowMs: number) => BundleChanges;
  /** In place of the bundle's text. */
  readonly text?: (made: string) => string;
  readonly policy?: (policy: Policy) => Policy;
}

const HOUR_MS = 3_600_000;
const gpu = (change: NonNullable<BundleChanges['gpus']>[number]): Wrong => ({
  evidence: () => ({ gpus: [change] }),
});
const tdx = (change: NonNullable<BundleChanges['tdx']>): Wrong => ({ evidence: () => ({ tdx: change }) });
const snp = (change: NonNullable<BundleChanges['snp']>): Wrong => ({
  evidence: () => ({ machine: 'snp', snp: change }),
});
const statement = (of: (nowMs: number) => NonNullable<BundleChanges['statement']>): Wrong => ({
  evidence: (nowMs) => ({ statement: of(nowMs) }),
});
const levels = (tcbStatus: string): Wrong =>
  tdx({
    tcbInfo: {
      tcbLevels: [
        {
          tcb: {
            sgxtcbcomponents: Array.from({ length: 16 }, () => ({ svn: 0 })),
            tdxtcbcomponents: Array.from({ length: 16 }, () => ({ svn: 0 })),
            pcesvn: 0,
          },
          tcbDate: '2024-03-13T00:00:00Z',
          tcbStatus,
        },
      ],
    },
  });

/** What is wrong, and the steps that say so; the code where it never comes to a step. */
const cases: [what: string, coordinator: string, client: string, Wrong][] = [
  ['expired', 'bundle.not-after', 'bundle.not-after', statement((nowMs) => ({ notAfterMs: nowMs - 1 }))],
  [
    'valid for longer than allowed',
    'bundle.lifetime',
    'bundle.lifetime',
    statement((nowMs) => ({ notAfterMs: nowMs + 48 * HOUR_MS })),
  ],
  ['a revoked GPU', 'gpu-0.ocsp.status', 'gpu-0.ocsp.status', gpu({ ocsp: { status: 'revoked' } })],
  [
    'a revoked TDX machine',
    'tdx.pck-chain.leaf-revocation',
    'tdx.pck-chain.leaf-revocation',
    tdx({ pckCrl: { revoked: [9, 4] } }),
  ],
  [
    'a revoked SNP authority',
    'snp.chain.revocation',
    'snp.chain.revocation',
    snp({ crl: { revoked: [65_537] } }),
  ],
  ['a revoked firmware level', 'tdx.tcb.status', 'tdx.tcb.status', levels('Revoked')],
  [
    'from the future',
    'gpu-0.ocsp.dates',
    'gpu-0.ocsp.dates',
    {
      evidence: (nowMs) => ({ gpus: [{ ocsp: { thisUpdateMs: nowMs + HOUR_MS, nextUpdateMs: null } }] }),
    },
  ],
  [
    'a TDX machine in debug mode',
    'tdx.td.debug',
    'tdx.td.debug',
    tdx({ body: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) } }),
  ],
  [
    'an SNP machine in debug mode',
    'snp.guest.debug',
    'snp.guest.debug',
    snp({ report: { 8: Uint8Array.of(0, 0, 0x0b, 0) } }),
  ],
  ['a status that nobody knows', 'tdx.tcb-info.format', 'tdx.tcb-info.format', levels('Sparkling')],
  ['no GPU', 'bundle.gpus', 'bundle.gpus', { evidence: () => ({ gpus: [] }) }],
  ['a GPU without confidential mode', 'gpu-0.mode', 'gpu-0.mode', gpu({ opaque: { 21: Uint8Array.of(0) } })],
  [
    'a GPU in a mode that is unknown',
    'gpu-0.mode',
    'gpu-0.mode',
    gpu({ opaque: { 36: Uint8Array.of(3, 0) } }),
  ],
  [
    'a GPU with other firmware',
    'gpu-0.measurements',
    'gpu-0.measurements',
    gpu({ measurements: { 3: new Uint8Array(48) } }),
  ],
  ['another image', 'bundle.image', 'bundle.image', statement(() => ({ image: 'other' }))],
  ['other weights', 'bundle.model', 'bundle.model', statement(() => ({ modelDigest: '00'.repeat(32) }))],
  [
    'a suite that was not attested',
    'bundle.suite',
    'bundle.suite',
    { evidence: () => ({ presented: { suite: 'xwing-hkdf-sha256-aes256gcm' } }) },
  ],
  [
    'a receipt key that was not attested',
    'tdx.report-data',
    'tdx.report-data',
    { evidence: () => ({ presented: { receiptKey: 'ab'.repeat(32) } }) },
  ],
  [
    'simulated where no policy names it',
    'tdx.pck-chain.root',
    'tdx.pck-chain.root',
    { policy: (policy) => ({ ...policy, simulatedRoots: [] }) },
  ],
  ['not JSON', 'bundle.format', 'bundle.format', { text: () => '{' }],
  [
    'a member twice',
    'bundle.format',
    'bundle.format',
    { text: (made) => made.replace('{', '{"version":1,') },
  ],
  [
    'nested',
    'bundle.format',
    'bundle.format',
    { text: () => `${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}` },
  ],
  [
    'oversized',
    'malformed_frame',
    'bundle.format',
    { text: (made) => made.padEnd(privateLimits.bundleCharacters + 1) },
  ],
];

/** The step at which the real coordinator refuses a node with it. */
async function atRegistration({ evidence, text, policy }: Wrong): Promise<string> {
  const models = { [NODE_MODEL]: { digest: MODEL_DIGEST } };
  const tier = await startPrivateNetwork({
    policy: (accepting) => ({ ...(policy?.(accepting) ?? accepting), models }),
  });
  const node = await tier.connect(() => ['hi'], {
    ...(evidence === undefined ? {} : { evidence: evidence(tier.world.nowMs) }),
    ...(text === undefined ? {} : { bundleText: text }),
  });
  const { code } = await node.refused();
  expect((await tier.network.get<{ nodes: unknown[] }>('/v1/nodes')).nodes).toEqual([]);
  return code === 'evidence_rejected'
    ? String((await tier.network.logged('evidence-refused'))['code'])
    : code;
}

/** The step at which a client refuses it, of a coordinator that does not. */
async function atClient({ evidence, text, policy }: Wrong): Promise<string> {
  const coordinator = await ScriptedPrivateCoordinator.start(world);
  const plan = evidence === undefined ? {} : { bundle: evidence(world.nowMs) };
  const made = await makeNode(world, coordinator.identity.publicKey, coordinator.now, plan);
  coordinator.enter(text === undefined ? made : await withText(made, text(made.text), coordinator.now));
  const client = clientOf(coordinator, { policy: policy?.(clientPolicy) ?? clientPolicy });
  const { nodes, rejected } = await client.prepare(MODEL);
  expect(nodes).toEqual([]);
  const [refused] = rejected;
  expect(await codeOf(client)).toBe(refused?.code);
  expect(coordinator.jobs).toEqual([]);
  const failed = refused?.verdict?.steps.find(({ status }) => status === 'failed');
  expect(failed === undefined || failed.remedy !== '').toBe(true);
  return failed?.id ?? refused?.code ?? 'not refused';
}

async function withText(node: ListedNode, text: string, now: () => number): Promise<ListedNode> {
  const name = sha256Hex(text);
  const offer = { ...node.offer, bundle: name };
  const signature = await signOffer(node.receiptKey, offer);
  const { keys, receiptKey } = node;
  return new ListedNode({ keys, receiptKey, text, name, offer, signature }, now);
}

it.each(cases)('%s: refused at registration (%s) and by the client (%s)', async (_, step, own, wrong) => {
  expect(await atRegistration(wrong)).toBe(step);
  expect(await atClient(wrong)).toBe(own);
});

it('nothing wrong: refused by neither', async () => {
  const tier = await startPrivateNetwork();
  await tier.node(() => ['hi']);
  const coordinator = await ScriptedPrivateCoordinator.start(world);
  await coordinator.join();
  expect(await codeOf(clientOf(coordinator))).toBe('finished');
});
