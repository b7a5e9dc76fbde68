/** The append-only directory of confidential nodes as it goes over the wire (docs/private-tier.md, The directory). */
import * as v from 'valibot';
import { PublicKeySchema, Sha256Schema, SignatureSchema } from '../ids.ts';
import { BundleNameSchema } from './header.ts';
import { privateLimits } from './private-limits.ts';
import { NodeOfferSchema } from './statements.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
/** A path in a tree of at most 2^53 leaves, from the leaf upwards. */
const ProofSchema = v.pipe(v.array(Sha256Schema), v.maxLength(64));

export const leaveReasons = [
  'disconnected',
  'silent',
  'expired',
  'replaced',
  'drained',
  'misbehaved',
] as const;

export const DirectoryEntrySchema = v.variant('kind', [
  v.strictObject({
    kind: v.literal('joined'),
    atMs: count,
    bundle: BundleNameSchema,
    offer: NodeOfferSchema,
    /** By the bundle's receipt key. */
    signature: SignatureSchema,
  }),
  v.strictObject({
    kind: v.literal('left'),
    atMs: count,
    bundle: BundleNameSchema,
    reason: v.picklist(leaveReasons),
  }),
]);
export type DirectoryEntry = v.InferOutput<typeof DirectoryEntrySchema>;
export type LeaveReason = (typeof leaveReasons)[number];

/** Signed by the coordinator over all other members, domain `tussah-directory/1`. */
export const DirectoryHeadSchema = v.strictObject({
  coordinator: PublicKeySchema,
  size: count,
  rootHash: Sha256Schema,
  atMs: count,
  signature: SignatureSchema,
});
export type DirectoryHead = v.InferOutput<typeof DirectoryHeadSchema>;

/** An entry, and the proof that a head holds it at its index. */
export const ProvenEntrySchema = v.strictObject({
  index: count,
  entry: DirectoryEntrySchema,
  proof: ProofSchema,
});
export type ProvenEntry = v.InferOutput<typeof ProvenEntrySchema>;

/** `GET /v1/nodes` */
export const NodeListSchema = v.strictObject({
  head: DirectoryHeadSchema,
  /** From the size asked for. */
  consistency: ProofSchema,
  nodes: v.pipe(v.array(ProvenEntrySchema), v.maxLength(privateLimits.concurrencyMax)),
});
export type NodeList = v.InferOutput<typeof NodeListSchema>;

/** `GET /v1/nodes/entries` */
export const DirectoryPageSchema = v.strictObject({
  from: count,
  entries: v.pipe(v.array(DirectoryEntrySchema), v.maxLength(privateLimits.entriesPerPage)),
});
export type DirectoryPage = v.InferOutput<typeof DirectoryPageSchema>;

/** `GET /v1/nodes/consistency` */
export const ConsistencySchema = v.strictObject({ from: count, to: count, proof: ProofSchema });
