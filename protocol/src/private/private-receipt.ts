/** The coordinator's receipt of a private job: the node's own, and what was charged and paid for it. */
import * as v from 'valibot';
import { PublicKeySchema, ReceiptIdSchema, SignatureSchema } from '../ids.ts';
import { NanoSchema } from '../money.ts';
import { SignedNodeReceiptSchema } from './statements.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

export const PrivateReceiptBodySchema = v.strictObject({
  version: v.literal(1),
  id: ReceiptIdSchema,
  createdAtMs: count,
  tier: v.literal('private'),
  /** Who pays: the account's id. */
  payer: v.string(),
  /** Signed by the receipt key of the bundle that it names. */
  node: SignedNodeReceiptSchema,
  /** Hexadecimal; whoever checks takes it from evidence, not from here. */
  receiptKey: PublicKeySchema,
  /** What was held: nothing above it is charged. */
  heldNano: NanoSchema,
  chargedNano: NanoSchema,
  networkFeeBasisPoints: v.pipe(count, v.maxValue(10_000)),
  networkFeeNano: NanoSchema,
  payNano: NanoSchema,
  coordinator: PublicKeySchema,
});
export type PrivateReceiptBody = v.InferOutput<typeof PrivateReceiptBodySchema>;

/** Signed in the domain of all receipts. */
export const PrivateReceiptSchema = v.strictObject({
  ...PrivateReceiptBodySchema.entries,
  signature: SignatureSchema,
});
export type PrivateReceipt = v.InferOutput<typeof PrivateReceiptSchema>;
