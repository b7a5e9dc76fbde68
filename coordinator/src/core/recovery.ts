/**
 * After a restart: jobs come back from their checkpoints. A plain client has lost its connection, so its job is settled for
 * what was written down; a resumable one may come back within `resumeWindowMs`, and its answer goes on where it was cut.
 */
import { hashOfIds } from '@tussah/protocol/bytes';
import { errorKinds, failure, type ErrorCode } from '@tussah/protocol/errors';
import { dearestOf } from './bids.ts';
import { checkpoint } from './checkpoints.ts';
import type { Resumption } from './events.ts';
import { dismiss, settleInterrupted } from './job-endings.ts';
import { takes } from './job-events.ts';
import { enter, send } from './job-phases.ts';
import { endLease, leaveQueue, place, release, schedule } from './jobs.ts';
import { hold } from './reservations.ts';
import type { Job, JobCheckpoint, OpenSegment, SegmentDraft } from './state.ts';
import { note, type Codec, type Turn } from './turn.ts';

/** Makes interrupted jobs of all checkpoints, holds their money, and settles those that nobody can come back to. */
export function recover(turn: Turn, checkpoints: readonly JobCheckpoint[]): void {
  for (const written of checkpoints) {
    const job = interruptedJob(turn, written);
    const { id, model, resumable } = job.request;
    if (turn.state.jobs.has(id)) throw new Error(`job ${id} was recovered twice`);
    turn.state.jobs.set(id, job);
    hold(turn.state, job);
    note(turn, { kind: 'job-interrupted', jobId: id, model, resumable: resumable !== null });
    if (resumable === null || !turn.state.pools.has(model)) settleInterrupted(turn, job);
    else schedule(turn, job);
  }
}

function interruptedJob(turn: Turn, written: JobCheckpoint): Job {
  const { promptTokens, maxTokens, reservedNano, submittedAtMs } = written;
  const segments = [...written.segments];
  const price = turn.state.pools.get(written.request.model)?.model.price;
  return {
    request: { ...written.request, prompt: { text: '', ids: [] }, stop: [] },
    promptTokens,
    phase: 'interrupted',
    maxTokens,
    reservedNano,
    dearest: price === undefined ? null : dearestOf(price, promptTokens, maxTokens, reservedNano),
    submittedAtMs,
    waitUntilMs: turn.atMs + turn.state.config.resumeWindowMs,
    lease: null,
    segments,
    ids: [],
    text: [],
    // As far as it is known: who was lost may have it again, who failed may not.
    tried: new Set(segments.filter(({ end }) => end !== 'lost').map(({ publicKey }) => publicKey)),
    attempts: segments.length,
    done: null,
    outcome: null,
    draft: null,
    failure: null,
    endSaid: null,
    ttftMs: null,
    scheduledMs: Infinity,
    checkpointedTokens: deliveredBy(written),
    cut: written.open,
  };
}

/** Tokens of the answer that a checkpoint covers. */
export const deliveredBy = ({ segments, open }: Pick<JobCheckpoint, 'segments' | 'open'>): number =>
  open === null
    ? segments.reduce((sum, segment) => sum + segment.tokens, 0)
    : open.firstPosition + open.tokens;

/** The client is back: if it has what was written down, its job goes on from the ids that it brings. */
export function resume(turn: Turn, resumption: Resumption): void {
  const { jobId, ids, prompt, stop } = resumption;
  const job = turn.state.jobs.get(jobId);
  if (!takes(job, 'job-resumed') || job.request.flow !== resumption.flow)
    return refuse(turn, jobId, 'job_unknown');
  if (turn.state.draining) return refuse(turn, jobId, 'shutting_down');
  const codec = turn.codecs.codecOf(job.request.model);
  if (codec === undefined) return refuse(turn, jobId, 'no_contributor');
  const text = codec.textOf(ids);
  if (text === undefined || !isOf(job, resumption)) return refuse(turn, jobId, 'resume_mismatch');
  if (job.cut !== null && ids.length > job.cut.firstPosition) job.segments.push(vouched(codec, job.cut, ids));
  job.cut = null;
  job.request = { ...job.request, prompt, stop };
  for (const id of ids) job.ids.push(id);
  job.text.push(text);
  const { continuationWaitMs } = turn.state.config;
  job.waitUntilMs = turn.atMs + (job.segments.length > 0 ? continuationWaitMs : job.request.maxWaitMs);
  enter(job, 'queued');
  note(turn, { kind: 'job-resumed', jobId, model: job.request.model, tokens: ids.length });
  place(turn, job);
}

function refuse(turn: Turn, jobId: string, code: ErrorCode): void {
  turn.effects.push({ type: 'resume-refused', jobId, failure: failure(code) });
}

/** Whether this is the job's own request, and the ids begin with those that were written down. */
function isOf(job: Job, { requestHash, promptHash, ids }: Resumption): boolean {
  const { request, cut, segments } = job;
  if (requestHash !== request.resumable?.requestHash || promptHash !== request.promptHash) return false;
  if (ids.length > job.maxTokens) return false;
  // Whoever delivers is written down before anything of it leaves.
  if (cut === null && ids.length !== deliveredBy({ segments, open: null })) return false;
  return [...segments, ...(cut === null ? [] : [cut])].every(({ firstPosition, tokens, idsHash }) => {
    const own = ids.slice(firstPosition, firstPosition + tokens);
    return own.length === tokens && hashOfIds(own) === idsHash;
  });
}

/** The turn that the restart cut, with all that the client got of it; the client pays for what it says it has. */
function vouched(codec: Codec, cut: OpenSegment, ids: readonly number[]): SegmentDraft {
  const own = ids.slice(cut.firstPosition);
  const encoded = codec.count(codec.textOf(own) ?? '');
  return {
    ...cut,
    tokens: own.length,
    billedTokens: Math.min(own.length, encoded),
    idsHash: hashOfIds(own),
    end: 'lost',
    signature: null,
  };
}

/**
 * The coordinator stops before a resumable job's end: it is left to the journal, and its client told to come back. False
 * when the journal does not know it, or its end is near.
 */
export function suspend(turn: Turn, jobId: string): boolean {
  const job = turn.state.jobs.get(jobId);
  if (job === undefined || job.request.resumable === null || job.checkpointedTokens === null) return false;
  if (job.phase === 'interrupted') {
    dismiss(turn, job);
    return true;
  }
  if (job.phase === 'checking' || job.phase === 'settling') return false;
  checkpoint(turn, job);
  const { lease } = job;
  if (lease === null) leaveQueue(turn, job);
  else {
    const contributor = turn.state.contributors.get(lease.publicKey);
    endLease(turn, job, 'cancelled', null);
    if (contributor !== undefined) {
      send(turn, contributor, { type: 'job-cancel', jobId, reason: errorKinds.shutting_down.message });
      release(turn, contributor, job);
    }
  }
  note(turn, { kind: 'job-suspended', jobId, model: job.request.model, resumable: true });
  turn.effects.push({ type: 'fail', jobId, failure: failure('coordinator_restarted'), receipt: null });
  dismiss(turn, job);
  return true;
}

/** Jobs whose clients have not come back yet wait for the next start. */
export function suspendInterrupted(turn: Turn): void {
  for (const job of turn.state.jobs.values()) if (job.phase === 'interrupted') suspend(turn, job.request.id);
}
