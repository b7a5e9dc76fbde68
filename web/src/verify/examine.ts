/** Judges receipts, bundles and policies that somebody put before the page. Pure but for WebCrypto: no network, no clock. */
import type { Expectations } from '@tussah/attestation/bundle/verify-bundle';
import { parsePolicy, type Policy } from '@tussah/attestation/policy/policy';
import type { Verdict } from '@tussah/attestation/verdict';
import { Verifier } from '@tussah/attestation/verify';
import { sha256Hex } from '@tussah/protocol/bytes';
import type { Failure } from '@tussah/protocol/errors';
import { examineReceipt, type JudgedBundle } from './examine-receipt.ts';
import {
  verifyLimits,
  type Fact,
  type Finding,
  type Findings,
  type Item,
  type Material,
} from './findings.ts';
import { isObject, recognise, type Recognised } from './recognise.ts';

type Read = { readonly item: Item } & ({ readonly recognised: Recognised } | { readonly failure: Failure });

/** `nowMs`: milliseconds since 1970. One finding an item, in the items' order. */
export async function examine({ items, policy, atMs }: Material, nowMs: number): Promise<Findings> {
  const reads = items.slice(0, verifyLimits.items).map(read);
  const given = reads.find((each) => 'recognised' in each && each.recognised.kind === 'policy');
  const chosen = parsePolicy(given?.item.text ?? policy);
  const verifier = new Verifier();
  const found = new Map<Item, Finding>();
  const bundles: JudgedBundle[] = [];
  for (const each of reads) {
    if (!('recognised' in each) || each.recognised.kind !== 'bundle') continue;
    const finding = chosen.ok
      ? await examineBundle(each.item.text, chosen.value, verifier, atMs ?? nowMs)
      : unreadable(chosen.failure);
    found.set(each.item, finding);
    if (finding.kind === 'bundle') bundles.push(judged(finding));
  }
  for (const each of reads) {
    const { item } = each;
    if (found.has(item)) continue;
    found.set(
      item,
      'failure' in each ? unreadable(each.failure) : await examineRest(each.recognised, item, bundles),
    );
  }
  return reads.map(({ item }) => ({
    item: { id: item.id, name: item.name },
    finding: found.get(item) ?? unreadable(tooLarge),
  }));
}

function read(item: Item): Read {
  // Characters; bytes of UTF-8 are at least as many.
  if (item.text.length > verifyLimits.bytes) return { item, failure: tooLarge };
  const recognised = recognise(item.text);
  return recognised.ok ? { item, recognised: recognised.value } : { item, failure: recognised.failure };
}

async function examineRest(
  recognised: Recognised,
  item: Item,
  bundles: readonly JudgedBundle[],
): Promise<Finding> {
  if (recognised.kind === 'receipt') return examineReceipt(recognised, bundles);
  const policy = parsePolicy(item.text);
  return policy.ok ? policyFinding(policy.value) : unreadable(policy.failure);
}

async function examineBundle(
  text: string,
  policy: Policy,
  verifier: Verifier,
  atMs: number,
): Promise<Extract<Finding, { kind: 'bundle' }>> {
  const verdict = await verifier.verify({ kind: 'bundle', text, expected: noExpectations }, policy, atMs);
  return {
    kind: 'bundle',
    name: sha256Hex(text),
    verdict,
    policy: policy.name,
    atMs,
    facts: factsOf(verdict),
  };
}

/** Nobody asked for a model here: the steps that compare are listed as not checked. */
const noExpectations: Expectations = {};

function judged({ name, verdict }: Extract<Finding, { kind: 'bundle' }>): JudgedBundle {
  const { statement } = verdict.claims;
  const key = isObject(statement) ? statement['receiptKey'] : undefined;
  return {
    name,
    accepted: verdict.verdict === 'accepted',
    // What does not say that it is genuine is taken for simulated.
    simulated: verdict.claims['simulated'] !== false,
    receiptKey: typeof key === 'string' ? key : undefined,
  };
}

/** What the node says of itself, for reading. */
function factsOf({ claims }: Verdict): readonly Fact[] {
  const statement = isObject(claims['statement']) ? claims['statement'] : {};
  const texts = ['image', 'suite', 'modelDigest', 'configDigest', 'receiptKey', 'epochNonce'] as const;
  const end = statement['notAfterMs'];
  return [
    ...texts.flatMap((name): Fact[] => {
      const value = statement[name];
      return typeof value === 'string' ? [[factNames[name], value]] : [];
    }),
    ...(typeof end === 'number' && Number.isFinite(end) && Math.abs(end) < 8.64e15
      ? [['Ends', new Date(end).toISOString()] as const]
      : []),
  ];
}

const factNames = {
  image: 'Image',
  suite: 'Suite',
  modelDigest: 'Model digest',
  configDigest: 'Configuration digest',
  receiptKey: 'Receipt key',
  epochNonce: 'Epoch nonce',
} as const;

const policyFinding = (policy: Policy): Finding => ({
  kind: 'policy',
  name: policy.name,
  simulated: policy.simulatedRoots.length > 0,
  facts: [
    ['Images', policy.images.map(({ name }) => name).join(', ')],
    ['Models', Object.keys(policy.models).join(', ') || 'none'],
    ['Machines', machinesOf(policy)],
    ['GPUs', policy.gpu?.models.join(', ') ?? 'none allowed'],
  ],
});

const machinesOf = ({ tdx, snp }: Policy): string =>
  [tdx === undefined ? '' : 'Intel TDX', snp === undefined ? '' : `AMD SEV-SNP (${snp.products.join(', ')})`]
    .filter((name) => name !== '')
    .join(', ') || 'none';

const unreadable = (failure: Failure): Finding => ({ kind: 'unreadable', failure });

const tooLarge: Failure = {
  code: 'too_large',
  message: 'This is larger than anything that is looked at here.',
  remedy: `Give a file of at most ${verifyLimits.bytes / 1_048_576} MiB.`,
};
