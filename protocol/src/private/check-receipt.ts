/** Checks the receipt of a private job offline: both signatures, every sum, and whatever the reader knows about the job. */
import * as v from 'valibot';
import { costOf, feeOf, priceFromWire, type PriceWire } from '../money.ts';
import type { ReceiptCheck, ReceiptVerdict } from '../receipts.ts';
import { domains, sign, verifySignature, type Identity } from '../signatures.ts';
import { PrivateReceiptSchema, type PrivateReceipt, type PrivateReceiptBody } from './private-receipt.ts';
import { verifyNodeReceipt } from './sign-statements.ts';
import type { NodeReceipt } from './statements.ts';

export async function signPrivateReceipt(
  coordinator: Identity,
  body: PrivateReceiptBody,
): Promise<PrivateReceipt> {
  return { ...body, signature: await sign(coordinator, domains.receipt, body) };
}

/** What the reader knows; each member that is there is a check. */
export interface ExpectedReceipt {
  readonly coordinator?: string;
  /** Out of verified evidence. Without it the verdict holds for whoever owns the key named in the receipt. */
  readonly receiptKey?: string;
  readonly jobId?: string;
  readonly headerHash?: string;
  readonly bundle?: string;
  readonly identity?: string;
  readonly model?: string;
  readonly price?: PriceWire;
  /** Those of the authentic `end`. */
  readonly promptTokens?: number;
  readonly completionTokens?: number;
  /** Chunks received, and the hash over them. */
  readonly chunks?: number;
  readonly transcript?: string;
  /** The header's bounds. */
  readonly maxPriceNano?: string;
  readonly maxPromptTokens?: number;
  readonly maxTokens?: number;
}

/** Takes whatever the coordinator says; all that does not hold is listed. */
export async function checkPrivateReceipt(
  input: unknown,
  expected: ExpectedReceipt = {},
): Promise<ReceiptVerdict> {
  const parsed = v.safeParse(PrivateReceiptSchema, input);
  if (!parsed.success) {
    const issue = parsed.issues[0];
    const detail = `${v.getDotPath(issue) ?? 'receipt'}: ${issue.message}`;
    return { valid: false, checks: [{ name: 'shape', ok: false, detail }] };
  }
  const { signature, ...body } = parsed.output;
  const [byCoordinator, byNode] = await Promise.all([
    verifySignature(body.coordinator, domains.receipt, body, signature),
    verifyNodeReceipt(body.receiptKey, body.node),
  ]);
  const checks = [
    check('shape', true, 'version 1'),
    check('coordinator signature', byCoordinator, body.coordinator),
    check('node signature', byNode, body.receiptKey),
    ...checkPrivateSums(body),
    ...checkExpected(body, expected),
  ];
  return { valid: checks.every(({ ok }) => ok), checks };
}

const check = (name: string, ok: boolean, detail: string): ReceiptCheck => ({ name, ok, detail });

/** Charge, fee and pay, all from the node's counts. */
export function checkPrivateSums(body: PrivateReceiptBody): ReceiptCheck[] {
  const { price, promptTokens, completionTokens } = body.node.receipt;
  const charged = BigInt(body.chargedNano);
  const held = BigInt(body.heldNano);
  const cost = costOf(priceFromWire(price), promptTokens, completionTokens);
  const fee = feeOf(charged, body.networkFeeBasisPoints);
  return [
    check('charge', charged === (cost < held ? cost : held), `${charged} of ${held} nanoTON held`),
    check(
      'fee and pay',
      BigInt(body.networkFeeNano) === fee && BigInt(body.payNano) === charged - fee,
      `${body.networkFeeNano} nanoTON fee, ${body.payNano} nanoTON pay`,
    ),
  ];
}

/** Members of the node's receipt that a reader may know. */
const known = [
  'jobId',
  'headerHash',
  'bundle',
  'identity',
  'model',
  'promptTokens',
  'completionTokens',
  'chunks',
  'transcript',
] as const satisfies readonly (keyof NodeReceipt & keyof ExpectedReceipt)[];

function checkExpected(body: PrivateReceiptBody, expected: ExpectedReceipt): ReceiptCheck[] {
  const { receipt } = body.node;
  const { price } = expected;
  const checks: (ReceiptCheck | undefined)[] = [
    equal('coordinator', body.coordinator, expected.coordinator),
    equal('receipt key', body.receiptKey, expected.receiptKey),
    ...known.map((name) => equal(name, receipt[name], expected[name])),
    price && check('price', samePrice(receipt.price, price), priceText(receipt.price)),
    atMost('price bound', body.chargedNano, expected.maxPriceNano),
    atMost('prompt bound', receipt.promptTokens, expected.maxPromptTokens),
    atMost('answer bound', receipt.completionTokens, expected.maxTokens),
  ];
  return checks.filter((each) => each !== undefined);
}

const equal = <T extends string | number>(name: string, got: T, wanted: T | undefined) =>
  wanted === undefined ? undefined : check(name, got === wanted, String(got));

const atMost = <T extends string | number>(name: string, got: T, bound: T | undefined) =>
  bound === undefined ? undefined : check(name, BigInt(got) <= BigInt(bound), `${got} of ${bound}`);

const samePrice = (a: PriceWire, b: PriceWire): boolean =>
  a.promptNanoPerMillion === b.promptNanoPerMillion &&
  a.completionNanoPerMillion === b.completionNanoPerMillion;

const priceText = (price: PriceWire): string =>
  `${price.promptNanoPerMillion} and ${price.completionNanoPerMillion} nanoTON per million`;
