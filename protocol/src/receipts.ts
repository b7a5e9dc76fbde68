/**
 * Receipts: what was asked, answered, charged and paid, signed by the coordinator as a whole and by each contributor for
 * its segment, so that anybody can check one offline.
 */
import * as v from 'valibot';
import { type Canonical } from './canonical.ts';
import { EngineProfileSchema } from './engine-profile.ts';
import { JobIdSchema, PublicKeySchema, ReceiptIdSchema, Sha256Schema, SignatureSchema } from './ids.ts';
import { costOf, feeOf, NanoSchema, priceFromWire, PriceSchema } from './money.ts';
import { FinishReasonSchema, TierSchema } from './sampling.ts';
import { domains, verifySignature } from './signatures.ts';

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** Why a segment ended; all but the first two mean that another contributor went on, or nobody. */
export const SegmentEndSchema = v.picklist([
  'stop',
  'length',
  'cancelled',
  'lost',
  'failed',
  'silent',
  'refused',
]);
export type SegmentEnd = v.InferOutput<typeof SegmentEndSchema>;

export const SegmentSchema = v.strictObject({
  contributor: PublicKeySchema,
  build: v.string(),
  profile: EngineProfileSchema,
  /** Position of its first token in the whole answer. */
  firstPosition: count,
  /** Tokens delivered, and tokens charged: the lower of those and our own encoding of the text. */
  tokens: count,
  billedTokens: count,
  /** Prompt tokens charged here: all of them in the first segment, none in others. */
  promptTokens: count,
  idsHash: Sha256Schema,
  end: SegmentEndSchema,
  price: PriceSchema,
  chargedNano: NanoSchema,
  payNano: NanoSchema,
  /** Null where the contributor vanished or was cut off before it could sign. */
  signature: v.nullable(SignatureSchema),
});
export type Segment = v.InferOutput<typeof SegmentSchema>;

export const ReceiptBodySchema = v.strictObject({
  version: v.literal(1),
  id: ReceiptIdSchema,
  jobId: JobIdSchema,
  createdAtMs: count,
  tier: TierSchema,
  model: v.string(),
  /** `complete` is a whole answer; the others were cut and charge for what was delivered. */
  outcome: v.picklist(['complete', 'cancelled', 'failed']),
  finishReason: v.nullable(FinishReasonSchema),
  payer: v.string(),
  seedRoot: v.string(),
  promptHash: Sha256Schema,
  usage: v.strictObject({ promptTokens: count, completionTokens: count }),
  segments: v.pipe(v.array(SegmentSchema), v.maxLength(64)),
  chargedNano: NanoSchema,
  networkFeeBasisPoints: count,
  networkFeeNano: NanoSchema,
  coordinator: PublicKeySchema,
});
export type ReceiptBody = v.InferOutput<typeof ReceiptBodySchema>;

export const ReceiptSchema = v.strictObject({ ...ReceiptBodySchema.entries, signature: SignatureSchema });
export type Receipt = v.InferOutput<typeof ReceiptSchema>;

/** What a contributor signs when it ends its segment, domain `tussah-segment/1`. */
export interface SegmentFacts {
  readonly jobId: string;
  readonly contributor: string;
  readonly model: string;
  readonly build: string;
  readonly seedRoot: string;
  readonly promptHash: string;
  readonly firstPosition: number;
  readonly tokens: number;
  readonly idsHash: string;
  readonly end: SegmentEnd;
}

export const segmentStatement = (facts: SegmentFacts): Canonical => ({
  jobId: facts.jobId,
  contributor: facts.contributor,
  model: facts.model,
  build: facts.build,
  seedRoot: facts.seedRoot,
  promptHash: facts.promptHash,
  firstPosition: facts.firstPosition,
  tokens: facts.tokens,
  idsHash: facts.idsHash,
  end: facts.end,
});

export interface ReceiptCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly detail: string;
}
export interface ReceiptVerdict {
  readonly valid: boolean;
  readonly checks: readonly ReceiptCheck[];
}

/**
 * Checks a receipt offline: shape, both kinds of signature, and every sum. `coordinator` is the key the reader expects;
 * without it the verdict holds for whoever owns the key named in the receipt.
 */
export async function verifyReceipt(input: unknown, coordinator?: string): Promise<ReceiptVerdict> {
  const parsed = v.safeParse(ReceiptSchema, input);
  if (!parsed.success) {
    const issue = parsed.issues[0];
    return {
      valid: false,
      checks: [{ name: 'shape', ok: false, detail: `${v.getDotPath(issue) ?? 'receipt'}: ${issue.message}` }],
    };
  }
  const { signature, ...body } = parsed.output;
  const checks: ReceiptCheck[] = [{ name: 'shape', ok: true, detail: 'version 1' }];
  if (coordinator !== undefined)
    checks.push({
      name: 'coordinator',
      ok: body.coordinator === coordinator,
      detail: `signed as ${body.coordinator}`,
    });
  checks.push({
    name: 'coordinator signature',
    ok: await verifySignature(body.coordinator, domains.receipt, body, signature),
    detail: body.coordinator,
  });
  for (const [i, segment] of body.segments.entries()) checks.push(await checkSegment(body, segment, i));
  checks.push(...checkSums(body));
  return { valid: checks.every((check) => check.ok), checks };
}

async function checkSegment(body: ReceiptBody, segment: Segment, i: number): Promise<ReceiptCheck> {
  const name = `segment ${i + 1} signature`;
  if (segment.signature === null) {
    const cut = segment.end !== 'stop' && segment.end !== 'length';
    return {
      name,
      ok: cut,
      detail: cut ? `not signed: ${segment.end}` : 'a finished segment must be signed',
    };
  }
  const statement = segmentStatement({
    ...segment,
    jobId: body.jobId,
    model: body.model,
    seedRoot: body.seedRoot,
    promptHash: body.promptHash,
  });
  const ok = await verifySignature(segment.contributor, domains.segment, statement, segment.signature);
  return { name, ok, detail: segment.contributor };
}

/** The arithmetic of a receipt: positions, token counts, charges, fee and pay. */
export function checkSums(body: ReceiptBody): ReceiptCheck[] {
  const sum = (pick: (segment: Segment) => bigint) => body.segments.reduce((a, s) => a + pick(s), 0n);
  const feeOfSegment = (s: Segment) => feeOf(BigInt(s.chargedNano), body.networkFeeBasisPoints);
  const charged = BigInt(body.chargedNano);
  let position = 0;
  let contiguous = true;
  for (const segment of body.segments) {
    contiguous &&= segment.firstPosition === position && segment.billedTokens <= segment.tokens;
    position += segment.tokens;
  }
  const priced = body.segments.every(
    (s) => BigInt(s.chargedNano) === costOf(priceFromWire(s.price), s.promptTokens, s.billedTokens),
  );
  const promptTokens = body.segments.reduce((a, s) => a + s.promptTokens, 0);
  const billed = body.segments.reduce((a, s) => a + s.billedTokens, 0);
  const check = (name: string, ok: boolean, detail: string): ReceiptCheck => ({ name, ok, detail });
  return [
    check('positions', contiguous, `${position} tokens in ${body.segments.length} segment(s)`),
    check(
      'usage',
      billed === body.usage.completionTokens &&
        (promptTokens === body.usage.promptTokens ||
          (body.segments.length === 0 && body.usage.promptTokens === 0)),
      `${body.usage.promptTokens} prompt, ${body.usage.completionTokens} completion`,
    ),
    check('prices', priced && sum((s) => BigInt(s.chargedNano)) === charged, `${charged} nanoTON charged`),
    check(
      'fee and pay',
      // Each segment by itself, so that pay can't move from one contributor to another.
      body.segments.every((s) => BigInt(s.payNano) === BigInt(s.chargedNano) - feeOfSegment(s)) &&
        BigInt(body.networkFeeNano) === sum(feeOfSegment),
      `${body.networkFeeNano} nanoTON fee`,
    ),
  ];
}
