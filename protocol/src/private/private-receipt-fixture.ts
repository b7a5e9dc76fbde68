/** Valid private receipts for tests, signed by real keys. */
import { sha256Hex } from '../bytes.ts';
import { newId } from '../ids.ts';
import { costOf, feeOf, priceFromWire } from '../money.ts';
import type { Identity } from '../signatures.ts';
import { signPrivateReceipt } from './check-receipt.ts';
import type { PrivateReceipt, PrivateReceiptBody } from './private-receipt.ts';
import { signNodeReceipt } from './sign-statements.ts';
import type { NodeReceipt } from './statements.ts';

export interface PrivateReceiptPlan {
  readonly coordinator: Identity;
  readonly receiptKey: Identity;
  readonly node?: Partial<NodeReceipt>;
  /** Default: more than enough. */
  readonly heldNano?: string;
  /** Lies of the coordinator: they are signed, and the sums are not mended. */
  readonly body?: Partial<PrivateReceiptBody>;
}

export async function newPrivateReceipt(plan: PrivateReceiptPlan): Promise<PrivateReceipt> {
  const receipt: NodeReceipt = {
    version: 1,
    jobId: newId('job'),
    headerHash: sha256Hex('a header'),
    bundle: sha256Hex('a bundle'),
    identity: sha256Hex('an identity'),
    model: 'tiny',
    outcome: 'complete',
    promptTokens: 31,
    completionTokens: 6,
    price: { promptNanoPerMillion: '50000000', completionNanoPerMillion: '200000000' },
    chunks: 4,
    transcript: sha256Hex('chunks'),
    atMs: 1_800_000_000_000,
    ...plan.node,
  };
  const held = BigInt(plan.heldNano ?? '1000000');
  const cost = costOf(priceFromWire(receipt.price), receipt.promptTokens, receipt.completionTokens);
  const charged = cost < held ? cost : held;
  const networkFeeBasisPoints = 500;
  const fee = feeOf(charged, networkFeeBasisPoints);
  return signPrivateReceipt(plan.coordinator, {
    version: 1,
    id: newId('rcp'),
    createdAtMs: 1_800_000_000_500,
    tier: 'private',
    payer: 'acct_000000000000000000000001',
    node: await signNodeReceipt(plan.receiptKey, receipt),
    receiptKey: plan.receiptKey.publicKey,
    heldNano: held.toString(),
    chargedNano: charged.toString(),
    networkFeeBasisPoints,
    networkFeeNano: fee.toString(),
    payNano: (charged - fee).toString(),
    coordinator: plan.coordinator.publicKey,
    ...plan.body,
  });
}
