/** How jobs end: the books are written first, then the client is told and what was held is released. */
import { failure } from '@tussah/protocol/errors';
import type { Receipt } from '@tussah/protocol/receipts';
import { countGuest } from './guests.ts';
import { takes } from './job-events.ts';
import { enter, send } from './job-phases.ts';
import { apply } from './ledger.ts';
import { releaseHold } from './reservations.ts';
import { settlementOf } from './settlement.ts';
import type { Job, Outcome } from './state.ts';
import { note, type Turn } from './turn.ts';

/** Writes the books if anything was delivered; ends the job at once if not. A failed answer that was never sent is free. */
export function settleOrEnd(turn: Turn, job: Job, outcome: Outcome): void {
  const nothingSent = outcome.kind === 'failed' && !job.request.stream;
  if (job.segments.length === 0 || nothingSent) {
    end(turn, job, outcome, null);
    return;
  }
  enter(job, 'settling');
  job.outcome = outcome;
  job.draft = settlementOf(turn.state, job, outcome, turn.atMs);
  turn.effects.push({ type: 'settle', draft: job.draft });
}

/** The receipt is signed and durable: money moves, and the client may know. */
export function onSettled(turn: Turn, jobId: string, receipt: Receipt): void {
  const job = turn.state.jobs.get(jobId);
  if (!takes(job, 'settled') || job.outcome === null || job.draft === null) return;
  if (job.draft.transaction !== null) apply(turn.state.balances, job.draft.transaction);
  if (job.request.guest) {
    const parts = receipt.segments.map((segment, i) => ({
      publicKey: segment.contributor,
      wallet: job.segments[i]?.wallet ?? null,
      chargedNano: BigInt(segment.chargedNano),
    }));
    countGuest(turn.state, turn.atMs, job.request.flow, parts);
  }
  for (const segment of receipt.segments) {
    const contributor = turn.state.contributors.get(segment.contributor);
    if (contributor === undefined) continue;
    contributor.earnedNano += BigInt(segment.payNano);
    send(turn, contributor, {
      type: 'job-settled',
      jobId,
      receiptId: receipt.id,
      tokens: segment.billedTokens,
      payNano: segment.payNano,
      earnedNano: contributor.earnedNano.toString(),
    });
  }
  end(turn, job, job.outcome, receipt);
}

export function onSettlementFailed(turn: Turn, jobId: string): void {
  const job = turn.state.jobs.get(jobId);
  if (!takes(job, 'settlement-failed')) return;
  job.failure = 'store_failed';
  end(turn, job, { kind: 'failed', finishReason: null }, null);
}

/** Nobody came back to a job that a restart cut: it costs what was written down. */
export function settleInterrupted(turn: Turn, job: Job): void {
  const { cut } = job;
  if (cut !== null && cut.tokens > 0) job.segments.push({ ...cut, end: 'lost', signature: null });
  job.cut = null;
  job.failure = 'coordinator_restarted';
  settleOrEnd(turn, job, { kind: 'failed', finishReason: null });
}

/** Forgets a job and releases what it held. */
export function dismiss(turn: Turn, job: Job): void {
  enter(job, 'ended');
  turn.state.jobs.delete(job.request.id);
  turn.state.deadlines.forget('job', job.request.id);
  turn.state.deadlines.forget('checkpoint', job.request.id);
  releaseHold(turn.state, job);
}

/** Tells the client how its job ended. */
function end(turn: Turn, job: Job, outcome: Outcome, receipt: Receipt | null): void {
  const { state } = turn;
  const { request } = job;
  dismiss(turn, job);
  if (receipt === null && job.checkpointedTokens !== null)
    turn.effects.push({ type: 'forget-checkpoint', jobId: request.id });
  if (outcome.kind === 'complete' && receipt !== null && outcome.finishReason !== null) {
    state.answered += 1;
    state.completionTokens += receipt.usage.completionTokens;
    turn.effects.push({
      type: 'complete',
      jobId: request.id,
      answer: { finishReason: outcome.finishReason, usage: receipt.usage, receipt },
    });
  } else {
    const code = job.failure ?? 'internal';
    turn.effects.push({ type: 'fail', jobId: request.id, failure: failure(code), receipt });
  }
  note(turn, {
    kind: 'job-ended',
    jobId: request.id,
    model: request.model,
    outcome: outcome.kind,
    tokens: receipt?.usage.completionTokens ?? 0,
    chargedNano: BigInt(receipt?.chargedNano ?? '0'),
    ttftMs: job.ttftMs,
    totalMs: turn.atMs - job.submittedAtMs,
  });
}
