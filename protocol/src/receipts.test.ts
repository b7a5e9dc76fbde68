import { beforeAll, describe, expect, it } from 'vitest';
import { signBody, signedReceipt, unsignedReceipt } from './receipt-fixture.ts';
import { checkSums, segmentStatement, verifyReceipt, type Receipt, type Segment } from './receipts.ts';
import { domains, newIdentity, sign, type Identity } from './signatures.ts';

let coordinator: Identity;
let first: Identity;
let second: Identity;
/** Two contributors; the first was lost and could not sign. */
let receipt: Receipt;
beforeAll(async () => {
  [coordinator, first, second] = await Promise.all([newIdentity(), newIdentity(), newIdentity()]);
  receipt = await signedReceipt({
    coordinator,
    segments: [
      { contributor: first, tokens: 40, billedTokens: 38, promptTokens: 20, end: 'lost' },
      { contributor: second, tokens: 24 },
    ],
  });
});

/** Names of the checks that fail. */
async function failing(input: unknown, expected?: string): Promise<string[]> {
  const { valid, checks } = await verifyReceipt(input, expected);
  const names = checks.filter((check) => !check.ok).map((check) => check.name);
  expect(valid).toBe(names.length === 0);
  return names;
}

const withSegment = (i: number, change: Partial<Segment>): Receipt => ({
  ...receipt,
  segments: receipt.segments.map((segment, j) => (i === j ? { ...segment, ...change } : segment)),
});

describe('verifyReceipt', () => {
  it('accepts a valid receipt and shows every step', async () => {
    const { valid, checks } = await verifyReceipt(receipt, coordinator.publicKey);
    expect(valid).toBe(true);
    expect(checks.map((check) => check.name)).toEqual([
      'shape',
      'coordinator',
      'coordinator signature',
      'segment 1 signature',
      'segment 2 signature',
      'positions',
      'usage',
      'prices',
      'fee and pay',
    ]);
    expect(checks.every((check) => check.ok && check.detail !== '')).toBe(true);
  });

  it('accepts it as JSON, in any order of members', async () => {
    const reversed = Object.fromEntries(Object.entries(receipt).toReversed());
    expect(await failing(JSON.parse(JSON.stringify(reversed)))).toEqual([]);
  });

  it('accepts answers without a segment, and those that charge nothing', async () => {
    const none = await signedReceipt({ coordinator, outcome: 'failed', segments: [] });
    const free = await signedReceipt({
      coordinator,
      segments: [{ contributor: first, tokens: 3, billedTokens: 0, end: 'refused' }],
    });
    expect([await failing(none), await failing(free)]).toEqual([[], []]);
  });

  it('refuses another coordinator than the expected one', async () => {
    expect(await failing(receipt, first.publicKey)).toEqual(['coordinator']);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['text', 'receipt'],
    ['a list', []],
    ['an empty object', {}],
  ])('refuses %s by its shape', async (_, input) => {
    expect(await failing(input)).toEqual(['shape']);
  });

  it.each<[string, (valid: Receipt) => unknown]>([
    ['another version', (valid) => ({ ...valid, version: 2 })],
    ['an unknown member', (valid) => ({ ...valid, note: 'x' })],
    ['__proto__', (valid) => JSON.parse(JSON.stringify(valid).replace('{', '{"__proto__":{},'))],
    ['constructor', (valid) => ({ ...valid, constructor: 1 })],
    ['a missing member', (valid) => ({ ...valid, payer: undefined })],
    ['a negative count', (valid) => ({ ...valid, usage: { ...valid.usage, promptTokens: -1 } })],
    ['a fraction', (valid) => ({ ...valid, createdAtMs: 0.5 })],
    ['an amount that is a number', (valid) => ({ ...valid, chargedNano: 5 })],
    ['a negative amount', (valid) => ({ ...valid, chargedNano: '-5' })],
    ['a signature in capitals', (valid) => ({ ...valid, signature: valid.signature.toUpperCase() })],
    ['65 segments', (valid) => ({ ...valid, segments: Array(65).fill(valid.segments[0]) })],
  ])('refuses %s by its shape', async (_, change) => {
    expect(await failing(change(receipt))).toEqual(['shape']);
  });

  it('refuses a change of anything by the signature, and names the sum that is wrong as well', async () => {
    const signature = 'coordinator signature';
    expect(await failing({ ...receipt, payer: 'acct_other' })).toEqual([signature]);
    expect(await failing({ ...receipt, outcome: 'cancelled' })).toEqual([signature]);
    expect(await failing({ ...receipt, coordinator: first.publicKey })).toEqual([signature]);
    expect(await failing({ ...receipt, chargedNano: '1' })).toEqual([signature, 'prices']);
  });

  it.each<[string, string[], () => Partial<Receipt>]>([
    ['job', ['segment 2 signature'], () => ({ jobId: `job_${'0'.repeat(24)}` })],
    ['model', ['segment 2 signature'], () => ({ model: 'other' })],
    ['prompt', ['segment 2 signature'], () => ({ promptHash: '0'.repeat(64) })],
    ['seed root', ['segment 2 signature'], () => ({ seedRoot: 'other' })],
    ['ids', ['segment 2 signature'], () => withSegment(1, { idsHash: '0'.repeat(64) })],
    ['build', ['segment 2 signature'], () => withSegment(1, { build: 'other' })],
    ['contributor', ['segment 2 signature'], () => withSegment(1, { contributor: first.publicKey })],
    ['end', ['segment 2 signature'], () => withSegment(1, { end: 'length' })],
    ['missing signature', ['segment 2 signature'], () => withSegment(1, { signature: null })],
    ['position', ['segment 2 signature', 'positions'], () => withSegment(1, { firstPosition: 41 })],
    ['tokens', ['positions'], () => withSegment(0, { tokens: 39 })],
    [
      'more billed than delivered',
      ['positions', 'usage', 'prices'],
      () => withSegment(0, { billedTokens: 41 }),
    ],
    ['billed', ['usage', 'prices'], () => withSegment(0, { billedTokens: 37 })],
    ['usage', ['usage'], () => ({ usage: { promptTokens: 20, completionTokens: 61 } })],
    ['prompt usage', ['usage'], () => ({ usage: { promptTokens: 21, completionTokens: 62 } })],
    [
      'price',
      ['prices'],
      () => withSegment(0, { price: { promptNanoPerMillion: '0', completionNanoPerMillion: '1' } }),
    ],
    ['fee', ['fee and pay'], () => ({ networkFeeNano: '0' })],
    ['fee rate', ['fee and pay'], () => ({ networkFeeBasisPoints: 5_000 })],
    ['fee above all', ['fee and pay'], () => ({ networkFeeBasisPoints: 20_000 })],
    ['pay', ['fee and pay'], () => withSegment(0, { payNano: '0' })],
  ])('refuses a wrong %s even when the coordinator signs it', async (_, names, change) => {
    expect(await failing(await signBody(coordinator, { ...receipt, ...change() }))).toEqual(names);
  });

  it('refuses pay that was moved from one contributor to another', async () => {
    const [a, b] = receipt.segments.map(({ payNano }) => BigInt(payNano));
    const segments = [
      { ...receipt.segments[0], payNano: `${(a ?? 0n) - 1n}` },
      { ...receipt.segments[1], payNano: `${(b ?? 0n) + 1n}` },
    ] as Segment[];
    expect(await failing(await signBody(coordinator, { ...receipt, segments }))).toEqual(['fee and pay']);
  });

  it('refuses segments in another order', async () => {
    const swapped = { ...receipt, segments: receipt.segments.toReversed() };
    expect(await failing(await signBody(coordinator, swapped))).toEqual(['positions']);
  });

  it('refuses a signature of the same statement in another domain', async () => {
    const { signature: _, ...body } = receipt;
    const signature = await sign(coordinator, domains.segment, body);
    expect(await failing({ ...body, signature })).toEqual(['coordinator signature']);
  });

  it('refuses text that can not be signed, without throwing', async () => {
    expect(await failing({ ...receipt, payer: '\ud800' })).toEqual(['coordinator signature']);
  });
});

describe('segmentStatement', () => {
  it('takes the facts and nothing else', () => {
    const [segment] = receipt.segments;
    if (segment === undefined) throw new Error('the fixture has two segments');
    const { jobId, model, seedRoot, promptHash } = receipt;
    expect(
      Object.keys(segmentStatement({ ...segment, jobId, model, seedRoot, promptHash }) as object),
    ).toEqual([
      'jobId',
      'contributor',
      'model',
      'build',
      'seedRoot',
      'promptHash',
      'firstPosition',
      'tokens',
      'idsHash',
      'end',
    ]);
  });
});

describe('checkSums', () => {
  it('holds for what the fixture plans, at any fee', () => {
    for (const networkFeeBasisPoints of [0, 1, 333, 10_000]) {
      const segments = [1, 7, 99].map((tokens) => ({
        contributor: first,
        tokens,
        promptTokens: tokens === 1 ? 5 : 0,
      }));
      const sums = checkSums(unsignedReceipt({ coordinator, networkFeeBasisPoints, segments }));
      expect(sums.filter((check) => !check.ok)).toEqual([]);
    }
  });
});
