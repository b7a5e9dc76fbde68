/**
 * Checkpoints: what is written down of a streaming job while it runs, so that after a crash its client pays for what it got,
 * the contributors are paid for it, and the client may come back for the rest. Never its content.
 */
import { IdsHasher } from '@tussah/protocol/bytes';
import type { Job, JobCheckpoint, Lease, OpenSegment } from './state.ts';
import { lookAgain, type Turn } from './turn.ts';

/** Has the job written down as it stands. See the effect for `awaited`. */
export function checkpoint(turn: Turn, job: Job, awaited = false): void {
  job.checkpointedTokens = job.ids.length;
  turn.effects.push({ type: 'checkpoint', checkpoint: checkpointOf(turn, job), awaited });
}

/** A contributor begins. What a resumable client gets from it must be known to be its work, so that is written down before. */
export function onLeaseBegun(turn: Turn, job: Job): void {
  const { stream, resumable } = job.request;
  if (!stream) return;
  if (resumable !== null) checkpoint(turn, job, true);
  scheduleCheckpoint(turn, job);
}

/** A turn ended before the answer did. */
export function onLeaseLost(turn: Turn, job: Job): void {
  if (job.request.stream && job.segments.length > 0) checkpoint(turn, job);
}

/** The time for a job's next checkpoint has come. Who goes on with it later begins anew. */
export function onCheckpointDue(turn: Turn, jobId: string): void {
  const job = turn.state.jobs.get(jobId);
  if (job?.phase !== 'running') return;
  if (job.ids.length > (job.checkpointedTokens ?? 0)) checkpoint(turn, job);
  scheduleCheckpoint(turn, job);
}

function scheduleCheckpoint(turn: Turn, job: Job): void {
  lookAgain(turn, 'checkpoint', job.request.id, turn.atMs + turn.state.config.checkpointMs);
}

function checkpointOf(turn: Turn, job: Job): JobCheckpoint {
  const { prompt: _prompt, stop: _stop, ...request } = job.request;
  const { promptTokens, maxTokens, reservedNano, submittedAtMs } = job;
  return {
    request,
    promptTokens,
    maxTokens,
    reservedNano,
    submittedAtMs,
    segments: [...job.segments],
    open: job.lease === null ? null : openSegmentOf(turn, job.lease),
  };
}

function openSegmentOf(turn: Turn, lease: Lease): OpenSegment {
  const { publicKey, build, profile, price, firstPosition, ids } = lease;
  return {
    publicKey,
    wallet: turn.state.contributors.get(publicKey)?.wallet ?? null,
    build,
    profile,
    price,
    firstPosition,
    tokens: ids.length,
    // Our own encoding, which could make it less, would cost more than all the rest of this; only a crash makes this count.
    billedTokens: ids.length,
    idsHash: hashSoFar(lease),
  };
}

/** Reads what was delivered since the last checkpoint of this lease: the whole of it each time would cost more and more. */
function hashSoFar(lease: Lease): string {
  const journal = (lease.journal ??= { tokens: 0, idsHash: new IdsHasher() });
  journal.idsHash.add(lease.ids.slice(journal.tokens));
  journal.tokens = lease.ids.length;
  return journal.idsHash.hash();
}
