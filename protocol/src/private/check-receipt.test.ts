import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { newIdentity, type Identity } from '../signatures.ts';
import { checkPrivateReceipt, signPrivateReceipt, type ExpectedReceipt } from './check-receipt.ts';
import { newPrivateReceipt, type PrivateReceiptPlan } from './private-receipt-fixture.ts';
import type { PrivateReceipt, PrivateReceiptBody } from './private-receipt.ts';
import { signNodeReceipt } from './sign-statements.ts';
import type { NodeReceipt } from './statements.ts';

let coordinator: Identity;
let receiptKey: Identity;
beforeAll(async () => {
  [coordinator, receiptKey] = await Promise.all([newIdentity(), newIdentity()]);
});

const newReceipt = (plan: Partial<PrivateReceiptPlan> = {}): Promise<PrivateReceipt> =>
  newPrivateReceipt({ coordinator, receiptKey, ...plan });

/** Names of the checks that failed. */
async function problems(input: unknown, expected?: ExpectedReceipt): Promise<string[]> {
  const { valid, checks } = await checkPrivateReceipt(input, expected);
  const failed = checks.filter(({ ok }) => !ok).map(({ name }) => name);
  expect(valid).toBe(failed.length === 0);
  return failed;
}

const expectedOf = ({ node: { receipt }, ...body }: PrivateReceipt): Required<ExpectedReceipt> => ({
  coordinator: body.coordinator,
  receiptKey: body.receiptKey,
  jobId: receipt.jobId,
  headerHash: receipt.headerHash,
  bundle: receipt.bundle,
  identity: receipt.identity,
  model: receipt.model,
  price: { ...receipt.price },
  promptTokens: receipt.promptTokens,
  completionTokens: receipt.completionTokens,
  chunks: receipt.chunks,
  transcript: receipt.transcript,
  maxPriceNano: body.heldNano,
  maxPromptTokens: receipt.promptTokens,
  maxTokens: receipt.completionTokens,
});

describe('a private receipt', () => {
  it('holds by itself, and with all that a reader knows', async () => {
    const receipt = await newReceipt();
    expect(receipt).toMatchObject({ chargedNano: '2750', networkFeeNano: '137', payNano: '2613' });
    expect(await problems(receipt)).toEqual([]);
    expect(await problems(JSON.parse(JSON.stringify(receipt)), expectedOf(receipt))).toEqual([]);
  });

  it('charges no more than was held', async () => {
    const receipt = await newReceipt({ heldNano: '1000' });
    expect(receipt).toMatchObject({ chargedNano: '1000', networkFeeNano: '50', payNano: '950' });
    expect(await problems(receipt)).toEqual([]);
  });

  it.each([
    ['coordinator', 'ab'.repeat(32), 'coordinator'],
    ['receiptKey', 'ab'.repeat(32), 'receipt key'],
    ['jobId', `job_${'1'.repeat(24)}`, 'jobId'],
    ['headerHash', 'ab'.repeat(32), 'headerHash'],
    ['bundle', 'ab'.repeat(32), 'bundle'],
    ['identity', 'ab'.repeat(32), 'identity'],
    ['model', 'other', 'model'],
    ['price', { promptNanoPerMillion: '50000001', completionNanoPerMillion: '200000000' }, 'price'],
    ['price', { promptNanoPerMillion: '50000000', completionNanoPerMillion: '200000001' }, 'price'],
    ['promptTokens', 30, 'promptTokens'],
    ['promptTokens', 0, 'promptTokens'],
    ['completionTokens', 7, 'completionTokens'],
    ['chunks', 5, 'chunks'],
    ['transcript', 'ab'.repeat(32), 'transcript'],
    ['maxPriceNano', '2749', 'price bound'],
    ['maxPromptTokens', 30, 'prompt bound'],
    ['maxTokens', 5, 'answer bound'],
  ] as const)('is refused by a reader who knows another %s', async (name, value, check) => {
    const receipt = await newReceipt();
    expect(await problems(receipt, { ...expectedOf(receipt), [name]: value })).toEqual([check]);
  });

  it.each([
    ['chargedNano', '2751', ['charge', 'fee and pay']],
    ['chargedNano', '2749', ['charge', 'fee and pay']],
    ['heldNano', '2749', ['charge']],
    ['networkFeeNano', '138', ['fee and pay']],
    ['payNano', '2612', ['fee and pay']],
    ['networkFeeBasisPoints', 600, ['fee and pay']],
  ])('is refused when the coordinator signs %s as %s', async (name, value, checks) => {
    expect(await problems(await newReceipt({ body: { [name]: value } }))).toEqual(checks);
  });

  it('is refused when anything in it was changed without signing', async () => {
    const receipt = await newReceipt();
    const { signature: _, ...body } = receipt;
    const changes: Partial<PrivateReceiptBody> = {
      id: `rcp_${'1'.repeat(24)}`,
      createdAtMs: 1,
      payer: 'somebody else',
      heldNano: '2000000',
    };
    for (const [name, value] of Object.entries(changes))
      expect(await problems({ ...receipt, [name]: value })).toEqual(['coordinator signature']);
    for (const [name, value] of Object.entries<unknown>({
      promptTokens: 30,
      outcome: 'cancelled',
      atMs: 1,
    })) {
      const node = { ...body.node, receipt: { ...body.node.receipt, [name]: value } as NodeReceipt };
      // Even by the coordinator itself.
      const signed = await signPrivateReceipt(coordinator, { ...body, node });
      expect(await problems(signed)).toContain('node signature');
    }
  });

  it('is refused with a node receipt of other keys, unless it names these, which a reader then sees', async () => {
    const receipt = await newReceipt();
    const { signature: _, ...body } = receipt;
    const other = await newIdentity();
    const node = await signNodeReceipt(other, body.node.receipt);
    expect(await problems(await signPrivateReceipt(coordinator, { ...body, node }))).toEqual([
      'node signature',
    ]);
    const named = await signPrivateReceipt(coordinator, { ...body, node, receiptKey: other.publicKey });
    expect(await problems(named)).toEqual([]);
    expect(await problems(named, { receiptKey: receiptKey.publicKey })).toEqual(['receipt key']);
  });

  it.each([null, undefined, 7, 'x', [], {}, { version: 1 }])('is not %j', async (input) => {
    expect(await problems(input)).toEqual(['shape']);
  });

  it('has no member too many', async () => {
    expect(await problems({ ...(await newReceipt()), extra: 1 })).toEqual(['shape']);
  });

  it('holds whatever the counts, the price and the sum held are', async () => {
    const nano = fc.bigInt(0n, 10n ** 15n).map(String);
    await fc.assert(
      fc.asyncProperty(fc.nat(1_048_576), fc.nat(32_768), nano, nano, nano, async (...drawn) => {
        const [promptTokens, completionTokens, promptNanoPerMillion, completionNanoPerMillion, heldNano] =
          drawn;
        const price = { promptNanoPerMillion, completionNanoPerMillion };
        const receipt = await newReceipt({ node: { promptTokens, completionTokens, price }, heldNano });
        expect(await problems(receipt, expectedOf(receipt))).toEqual([]);
        expect(BigInt(receipt.networkFeeNano) + BigInt(receipt.payNano)).toBe(BigInt(receipt.chargedNano));
        expect(BigInt(receipt.chargedNano)).toBeLessThanOrEqual(BigInt(heldNano));
      }),
      { numRuns: 50 },
    );
  });
});
