/** What a node's receipt key signs: its offer, its refusals, its receipts (docs/private-tier.md). */
import * as v from 'valibot';
import { JobIdSchema, PublicKeySchema, Sha256Schema, SignatureSchema } from '../ids.ts';
import { PriceSchema } from '../money.ts';
import { BundleNameSchema, ModelIdSchema } from './header.ts';
import { privateLimits } from './private-limits.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** What a node sells, and who is paid. Domain `tussah-node-offer/1`. */
export const NodeOfferSchema = v.strictObject({
  coordinator: PublicKeySchema,
  identity: PublicKeySchema,
  bundle: BundleNameSchema,
  epochNonce: Sha256Schema,
  model: ModelIdSchema,
  price: PriceSchema,
  contextTokens: v.pipe(count, v.minValue(1), v.maxValue(privateLimits.promptTokens)),
  concurrency: v.pipe(count, v.minValue(1), v.maxValue(privateLimits.concurrencyMax)),
});
export type NodeOffer = v.InferOutput<typeof NodeOfferSchema>;

export const refusalCodes = [
  'key_rotated',
  'expired',
  'too_far_ahead',
  'replayed',
  'header_mismatch',
  'busy',
  'unopenable',
  'unsupported',
  'too_long',
  'draining',
  'cancelled',
] as const;

/** Why a node does not take a job. Domain `tussah-node-refusal/1`. */
export const NodeRefusalSchema = v.strictObject({
  jobId: JobIdSchema,
  headerHash: Sha256Schema,
  bundle: BundleNameSchema,
  code: v.picklist(refusalCodes),
  atMs: count,
});
export type NodeRefusal = v.InferOutput<typeof NodeRefusalSchema>;
export type RefusalCode = NodeRefusal['code'];

export const SignedRefusalSchema = v.strictObject({ refusal: NodeRefusalSchema, signature: SignatureSchema });
export type SignedRefusal = v.InferOutput<typeof SignedRefusalSchema>;

/** What a node has done for a job. Domain `tussah-node-receipt/1`. */
export const NodeReceiptSchema = v.strictObject({
  version: v.literal(1),
  jobId: JobIdSchema,
  headerHash: Sha256Schema,
  bundle: BundleNameSchema,
  identity: PublicKeySchema,
  model: ModelIdSchema,
  /** `failed`: the upstream failed; what was sent counts all the same. */
  outcome: v.picklist(['complete', 'cancelled', 'failed']),
  promptTokens: count,
  completionTokens: count,
  price: PriceSchema,
  chunks: v.pipe(count, v.maxValue(privateLimits.chunks)),
  /** SHA-256 over all chunks as sent, each with its length before it. */
  transcript: Sha256Schema,
  atMs: count,
});
export type NodeReceipt = v.InferOutput<typeof NodeReceiptSchema>;

export const SignedNodeReceiptSchema = v.strictObject({
  receipt: NodeReceiptSchema,
  signature: SignatureSchema,
});
export type SignedNodeReceipt = v.InferOutput<typeof SignedNodeReceiptSchema>;
