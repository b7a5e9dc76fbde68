/** Valid receipts for tests, signed by real keys. */
import { hashOfIds, sha256Hex } from './bytes.ts';
import type { EngineProfile } from './engine-profile.ts';
import { newId } from './ids.ts';
import { costOf, feeOf, priceFromWire, type PriceWire } from './money.ts';
import {
  segmentStatement,
  type Receipt,
  type ReceiptBody,
  type Segment,
  type SegmentEnd,
} from './receipts.ts';
import { domains, sign, type Identity } from './signatures.ts';

export interface SegmentPlan {
  readonly contributor: Identity;
  readonly tokens: number;
  /** Default: all of them. */
  readonly billedTokens?: number;
  /** Default: 0. */
  readonly promptTokens?: number;
  /** Default: `stop`. */
  readonly end?: SegmentEnd;
  readonly price?: PriceWire;
}

export interface ReceiptPlan {
  readonly coordinator: Identity;
  readonly segments: readonly SegmentPlan[];
  readonly id?: string;
  readonly jobId?: string;
  readonly payer?: string;
  readonly createdAtMs?: number;
  readonly outcome?: ReceiptBody['outcome'];
  /** Default: 500, which is 5 %. */
  readonly networkFeeBasisPoints?: number;
}

const profile: EngineProfile = {
  engine: 'fake',
  version: '1.0.0',
  prefix: 'ids',
  seedBlock: 16,
  replay: 'bit-exact',
};
const defaultPrice: PriceWire = {
  promptNanoPerMillion: '50000000',
  completionNanoPerMillion: '200000000',
};
const emptySignature = '0'.repeat(128);

/** A receipt whose sums are right and whose signatures are zeros: for tests that sign nothing, many a second. */
export function unsignedReceipt(plan: ReceiptPlan): Receipt {
  const basisPoints = plan.networkFeeBasisPoints ?? 500;
  const segments: Segment[] = [];
  let position = 0;
  for (const planned of plan.segments) {
    segments.push(segmentOf(planned, position, basisPoints));
    position += planned.tokens;
  }
  const sum = (pick: (segment: Segment) => string | number) =>
    segments.reduce((total, segment) => total + BigInt(pick(segment)), 0n);
  const charged = sum((s) => s.chargedNano);
  const outcome = plan.outcome ?? 'complete';
  return {
    version: 1,
    id: plan.id ?? newId('rcp'),
    jobId: plan.jobId ?? newId('job'),
    createdAtMs: plan.createdAtMs ?? 1_750_000_000_000,
    tier: 'public',
    model: 'tiny',
    outcome,
    finishReason: outcome === 'complete' ? 'stop' : null,
    payer: plan.payer ?? 'acct_000000000000000000000001',
    seedRoot: '00112233445566778899aabbccddeeff',
    promptHash: sha256Hex('a prompt'),
    usage: {
      promptTokens: Number(sum((s) => s.promptTokens)),
      completionTokens: Number(sum((s) => s.billedTokens)),
    },
    segments,
    chargedNano: charged.toString(),
    networkFeeBasisPoints: basisPoints,
    networkFeeNano: (charged - sum((s) => s.payNano)).toString(),
    coordinator: plan.coordinator.publicKey,
    signature: emptySignature,
  };
}

/** A receipt that `verifyReceipt` finds valid, if the plan is one of a real job. */
export async function signedReceipt(plan: ReceiptPlan): Promise<Receipt> {
  const draft = unsignedReceipt(plan);
  const segments = await Promise.all(
    draft.segments.map(async (segment, i) => {
      const contributor = plan.segments[i]?.contributor;
      const finished = segment.end === 'stop' || segment.end === 'length';
      if (contributor === undefined || !finished) return { ...segment, signature: null };
      const { jobId, model, seedRoot, promptHash } = draft;
      const statement = segmentStatement({ ...segment, jobId, model, seedRoot, promptHash });
      return { ...segment, signature: await sign(contributor, domains.segment, statement) };
    }),
  );
  return signBody(plan.coordinator, { ...draft, segments });
}

/** Signs a changed receipt anew, as a coordinator that lies would. */
export async function signBody(
  coordinator: Identity,
  receipt: ReceiptBody & { readonly signature?: string },
): Promise<Receipt> {
  const { signature: _, ...body } = receipt;
  return { ...body, signature: await sign(coordinator, domains.receipt, body) };
}

function segmentOf(planned: SegmentPlan, firstPosition: number, basisPoints: number): Segment {
  const price = planned.price ?? defaultPrice;
  const billedTokens = planned.billedTokens ?? planned.tokens;
  const promptTokens = planned.promptTokens ?? 0;
  const charged = costOf(priceFromWire(price), promptTokens, billedTokens);
  return {
    contributor: planned.contributor.publicKey,
    build: 'tiny@0123456789abcdef',
    profile,
    firstPosition,
    tokens: planned.tokens,
    billedTokens,
    promptTokens,
    idsHash: hashOfIds(Array.from({ length: planned.tokens }, (_, i) => firstPosition + i)),
    end: planned.end ?? 'stop',
    price,
    chargedNano: charged.toString(),
    payNano: (charged - feeOf(charged, basisPoints)).toString(),
    signature: emptySignature,
  };
}
