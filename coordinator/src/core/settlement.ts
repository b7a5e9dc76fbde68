/** From a job's segments to its receipt and its balanced transaction. */
import { feeOf, costOf, priceToWire, type Nano } from '@tussah/protocol/money';
import { hashOfIds } from '@tussah/protocol/bytes';
import type { ReceiptBody, Segment, SegmentEnd } from '@tussah/protocol/receipts';
import { ledgerAccounts, netEntries, type Entry, type Transaction } from './ledger.ts';
import type { Contributor, Job, Lease, Outcome, SegmentDraft, SettlementDraft, State } from './state.ts';
import type { Codec } from './turn.ts';

/** Closes a lease as a segment; undefined when it neither delivered nor finished. Caught lying, it is charged nothing. */
export function segmentOf(
  codec: Codec,
  contributor: Contributor | undefined,
  lease: Lease,
  end: SegmentEnd,
  signature: string | null,
): SegmentDraft | undefined {
  if (lease.ids.length === 0 && !isFinished(end)) return undefined;
  return {
    publicKey: lease.publicKey,
    wallet: contributor?.wallet ?? null,
    build: lease.build,
    profile: lease.profile,
    price: lease.price,
    firstPosition: lease.firstPosition,
    tokens: lease.ids.length,
    // Billed is the lower of the contributor's ids and our own encoding of the text.
    billedTokens: end === 'refused' ? 0 : Math.min(lease.ids.length, codec.count(lease.text)),
    idsHash: lease.idsHash ?? hashOfIds(lease.ids),
    end,
    signature,
  };
}

/** An answer may be empty and yet whole: the prompt was read for it. */
const isFinished = (end: SegmentEnd): boolean => end === 'stop' || end === 'length';

/** The receipt's body and the ledger transaction of a job that delivered something. */
export function settlementOf(state: State, job: Job, outcome: Outcome, atMs: number): SettlementDraft {
  const { request } = job;
  const segments = chargedSegments(state, job);
  const sum = (pick: (segment: Segment) => string): Nano =>
    segments.reduce((a, s) => a + BigInt(pick(s)), 0n);
  const chargedNano = sum((s) => s.chargedNano);
  const payNano = sum((s) => s.payNano);
  const receipt: ReceiptBody = {
    version: 1,
    id: request.receiptId,
    jobId: request.id,
    createdAtMs: atMs,
    tier: 'public',
    model: request.model,
    outcome: outcome.kind,
    finishReason: outcome.finishReason,
    payer: request.accountId,
    seedRoot: request.seedRoot,
    promptHash: request.promptHash,
    usage: {
      promptTokens: segments.reduce((a, s) => a + s.promptTokens, 0),
      completionTokens: segments.reduce((a, s) => a + s.billedTokens, 0),
    },
    segments,
    chargedNano: chargedNano.toString(),
    networkFeeBasisPoints: state.config.networkFeeBasisPoints,
    networkFeeNano: (chargedNano - payNano).toString(),
    coordinator: state.coordinator,
  };
  return {
    jobId: request.id,
    receipt,
    transaction: chargedNano === 0n ? null : transactionOf(job, receipt, atMs),
    records: recordsOf(state, job),
    idempotency:
      request.idempotency === null || outcome.kind !== 'complete'
        ? null
        : { accountId: request.flow, ...request.idempotency },
  };
}

/** Segments with their charges. The prompt is charged once, in the first segment that is charged at all. */
function chargedSegments(state: State, job: Job): Segment[] {
  let { promptTokens } = job;
  return job.segments.map((draft) => {
    const prompt = draft.billedTokens > 0 || isFinished(draft.end) ? promptTokens : 0;
    if (prompt > 0) promptTokens = 0;
    const charged = costOf(draft.price, prompt, draft.billedTokens);
    return {
      contributor: draft.publicKey,
      build: draft.build,
      profile: draft.profile,
      firstPosition: draft.firstPosition,
      tokens: draft.tokens,
      billedTokens: draft.billedTokens,
      promptTokens: prompt,
      idsHash: draft.idsHash,
      end: draft.end,
      price: priceToWire(draft.price),
      chargedNano: charged.toString(),
      payNano: (charged - feeOf(charged, state.config.networkFeeBasisPoints)).toString(),
      signature: draft.signature,
    };
  });
}

function transactionOf(job: Job, receipt: ReceiptBody, atMs: number): Transaction {
  const entries: Entry[] = [
    { account: job.request.payer, amountNano: -BigInt(receipt.chargedNano) },
    { account: ledgerAccounts.networkFee, amountNano: BigInt(receipt.networkFeeNano) },
    ...receipt.segments.map((segment) => ({
      account: ledgerAccounts.contributor(segment.contributor),
      amountNano: BigInt(segment.payNano),
    })),
  ];
  return {
    key: `job:${receipt.jobId}`,
    kind: 'job',
    atMs,
    receiptId: receipt.id,
    entries: netEntries(entries),
  };
}

/** What is remembered of everybody who had a turn, as it stands now. */
function recordsOf(state: State, job: Job): SettlementDraft['records'] {
  const keys = new Set([...job.segments.map((s) => s.publicKey), ...job.tried]);
  return [...keys].flatMap((publicKey) => {
    const contributor = state.contributors.get(publicKey);
    return contributor === undefined
      ? []
      : [{ publicKey, wallet: contributor.wallet, stats: { ...contributor.record } }];
  });
}
