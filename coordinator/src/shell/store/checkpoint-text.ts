/** Checkpoints of running jobs as text for the journal, and back. Nothing in them is content: see core/checkpoints.ts. */
import { EngineProfileSchema } from '@tussah/protocol/engine-profile';
import {
  JobIdSchema,
  PublicKeySchema,
  ReceiptIdSchema,
  Sha256Schema,
  SignatureSchema,
} from '@tussah/protocol/ids';
import { NanoSchema, PriceSchema, priceFromWire } from '@tussah/protocol/money';
import { SegmentEndSchema } from '@tussah/protocol/receipts';
import { SamplingSchema } from '@tussah/protocol/sampling';
import * as v from 'valibot';
import type { JobCheckpoint } from '../../core/state.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const nano = v.pipe(
  NanoSchema,
  v.transform((text): bigint => BigInt(text)),
);
const price = v.pipe(PriceSchema, v.transform(priceFromWire));
/** JSON has no undefined. */
const maybe = <Schema extends v.GenericSchema>(schema: Schema) =>
  v.pipe(
    v.nullable(schema),
    v.transform((value): v.InferOutput<Schema> | undefined => value ?? undefined),
  );

const openSegment = {
  publicKey: PublicKeySchema,
  wallet: v.nullable(v.string()),
  build: v.string(),
  profile: EngineProfileSchema,
  price,
  firstPosition: count,
  tokens: count,
  billedTokens: count,
  idsHash: Sha256Schema,
};

const CheckpointSchema = v.strictObject({
  request: v.strictObject({
    id: JobIdSchema,
    accountId: v.string(),
    payer: v.string(),
    flow: v.string(),
    weight: v.number(),
    guest: v.boolean(),
    stream: v.boolean(),
    model: v.string(),
    promptHash: Sha256Schema,
    sampling: SamplingSchema,
    maxTokens: maybe(count),
    seedRoot: v.string(),
    topLogprobs: v.nullable(count),
    maxPriceNano: maybe(nano),
    maxTtftMs: maybe(count),
    minTokensPerSecond: maybe(v.number()),
    maxWaitMs: count,
    idempotency: v.nullable(v.strictObject({ key: v.string(), requestHash: Sha256Schema })),
    resumable: v.nullable(v.strictObject({ requestHash: Sha256Schema })),
    receiptId: ReceiptIdSchema,
  }),
  promptTokens: count,
  maxTokens: count,
  reservedNano: nano,
  submittedAtMs: count,
  segments: v.array(
    v.strictObject({ ...openSegment, end: SegmentEndSchema, signature: v.nullable(SignatureSchema) }),
  ),
  open: v.nullable(v.strictObject(openSegment)),
});

/** JSON: amounts as decimal strings, what is undefined as null. */
export const checkpointText = (checkpoint: JobCheckpoint): string => JSON.stringify(checkpoint, asJson);

const asJson = (_: string, value: unknown): unknown =>
  typeof value === 'bigint' ? value.toString() : (value ?? null);

/** Undefined when the text is not a checkpoint. */
export function checkpointOf(text: string): JobCheckpoint | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = v.safeParse(CheckpointSchema, value);
  return parsed.success ? parsed.output : undefined;
}
