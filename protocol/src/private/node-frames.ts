/**
 * Frames of the node protocol `tussah-node.v1`: JSON text over a WebSocket at `/node`. Each has one strict schema; whatever is
 * unknown, misplaced or out of bounds closes the session with a code and a remedy.
 */
import * as v from 'valibot';
import {
  JobCancelSchema,
  JobSettledSchema,
  PingSchema,
  PongSchema,
  RefusedSchema,
  DrainSchema,
  WalletSchema,
} from '../contributor-frames.ts';
import { JobIdSchema, PublicKeySchema, Sha256Schema, SignatureSchema } from '../ids.ts';
import { NanoSchema } from '../money.ts';
import { base64Of } from './base64.ts';
import { BundleNameSchema, SealedHeaderSchema, WrapSchema } from './header.ts';
import { privateLimits } from './private-limits.ts';
import { NodeOfferSchema, SignedNodeReceiptSchema, SignedRefusalSchema } from './statements.ts';

export const NODE_PROTOCOL = 'tussah-node.v1';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

// Coordinator to node.

export const NodeChallengeSchema = v.strictObject({
  type: v.literal('challenge'),
  protocol: v.literal(NODE_PROTOCOL),
  coordinator: PublicKeySchema,
  nonce: Sha256Schema,
});

export const NodeWelcomeSchema = v.strictObject({
  type: v.literal('welcome'),
  heartbeatMs: count,
  earnedNano: NanoSchema,
  networkFeeBasisPoints: v.pipe(count, v.maxValue(10_000)),
});

/** The nonce for the node's next bundle; good once. */
export const EpochSchema = v.strictObject({ type: v.literal('epoch'), epochNonce: Sha256Schema });

/** The bundle was accepted and is in the directory. */
export const AttestedSchema = v.strictObject({
  type: v.literal('attested'),
  bundle: BundleNameSchema,
  notAfterMs: count,
  /** Index of its entry. */
  index: count,
});

export const SealedOfferSchema = v.strictObject({
  type: v.literal('sealed-offer'),
  header: SealedHeaderSchema,
  /** This node's place in the header's candidates. */
  candidate: v.pipe(count, v.maxValue(privateLimits.candidates - 1)),
  wrap: WrapSchema,
  body: base64Of(privateLimits.bodyBytes),
});
export type SealedOffer = v.InferOutput<typeof SealedOfferSchema>;

export const CoordinatorNodeFrameSchema = v.variant('type', [
  NodeChallengeSchema,
  NodeWelcomeSchema,
  EpochSchema,
  AttestedSchema,
  SealedOfferSchema,
  JobCancelSchema,
  JobSettledSchema,
  PingSchema,
  DrainSchema,
  RefusedSchema,
]);
export type CoordinatorNodeFrame = v.InferOutput<typeof CoordinatorNodeFrameSchema>;

// Node to coordinator.

export const NodeHelloSchema = v.strictObject({
  type: v.literal('hello'),
  protocol: v.literal(NODE_PROTOCOL),
  /** The operator's identity: who is paid. */
  publicKey: PublicKeySchema,
  /** Over `helloStatement` of contributor-frames.ts, domain `tussah-node-hello/1`. */
  signature: SignatureSchema,
  wallet: v.nullable(WalletSchema),
  agent: v.pipe(v.string(), v.maxLength(64)),
});

export const EpochRequestSchema = v.strictObject({ type: v.literal('epoch-request') });

export const AttestSchema = v.strictObject({
  type: v.literal('attest'),
  /** The bundle's text. */
  bundle: v.pipe(v.string(), v.maxLength(privateLimits.bundleCharacters)),
  offer: NodeOfferSchema,
  /** Of the offer, by the bundle's receipt key. */
  signature: SignatureSchema,
});

export const SealedAcceptSchema = v.strictObject({
  type: v.literal('sealed-accept'),
  jobId: JobIdSchema,
  responseNonce: Sha256Schema,
});

export const SealedRefuseSchema = v.strictObject({
  type: v.literal('sealed-refuse'),
  ...SignedRefusalSchema.entries,
});

export const SealedDeltaSchema = v.strictObject({
  type: v.literal('sealed-delta'),
  jobId: JobIdSchema,
  index: v.pipe(count, v.maxValue(privateLimits.chunks)),
  data: base64Of(privateLimits.chunkBytes),
  last: v.boolean(),
});

/** After the last chunk, or after a cancellation. */
export const SealedDoneSchema = v.strictObject({
  type: v.literal('sealed-done'),
  jobId: JobIdSchema,
  node: SignedNodeReceiptSchema,
});

/** `draining` finishes what runs and takes no more; the node then leaves the directory. */
export const NodeStatusSchema = v.strictObject({
  type: v.literal('status'),
  state: v.picklist(['ready', 'draining']),
});

/** The commonest first: they are tried in this order. */
export const NodeFrameSchema = v.variant('type', [
  SealedDeltaSchema,
  NodeHelloSchema,
  EpochRequestSchema,
  AttestSchema,
  SealedAcceptSchema,
  SealedRefuseSchema,
  SealedDoneSchema,
  NodeStatusSchema,
  PongSchema,
]);
export type NodeFrame = v.InferOutput<typeof NodeFrameSchema>;
