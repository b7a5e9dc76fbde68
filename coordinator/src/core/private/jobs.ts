/**
 * The life of a sealed job. It is offered to the first of its candidates, and to the next only with the signed refusal of the
 * one before, or once that one's departure is in the directory: the order is the client's. Nothing is retried for reasons of
 * our own, nothing of an answer is charged without the node's signature, and the client learns its end from the books.
 */
import { errorKinds, failure, type ErrorCode } from '@tussah/protocol/errors';
import type { LeaveReason } from '@tussah/protocol/private/directory';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { SignedRefusal } from '@tussah/protocol/private/statements';
import { releaseHold } from '../reservations.ts';
import { lookAgain, note, type Turn } from '../turn.ts';
import { sealedTransitions, takesSealed } from './job-tables.ts';
import type { Epoch, NodeConnection, SealedJob, SealedJobPhase } from './state.ts';
import { effect, tell } from './turn.ts';

/** Ended jobs remembered for each node: frames about them may still be under way. */
const ENDED_REMEMBERED = 2 * privateLimits.concurrencyMax;
/** Ids that clients have used. They are forgotten after their headers' end, which nodes refuse. */
const IDS_REMEMBERED = 100_000;

export function enter(turn: Turn, job: SealedJob, phase: SealedJobPhase): void {
  if (!sealedTransitions[job.phase].includes(phase))
    throw new Error(`sealed job ${job.id} can't go from ${job.phase} to ${phase}`);
  job.phase = phase;
  job.phaseAtMs = turn.atMs;
}

/** Offers a job to the candidate whose turn it is; `job` is `placing`. */
export function place(turn: Turn, job: SealedJob): void {
  const { private: tier, config } = turn.state;
  const { candidates } = job.request.header;
  for (;;) {
    const bundle = candidates[job.candidate];
    if (bundle === undefined) return endSealed(turn, job, 'no_candidate');
    const departed = tier.departed.get(bundle);
    if (departed !== undefined) {
      skip(turn, job, bundle, departed.entry.reason, { kind: 'left', ...departed });
      continue;
    }
    const epoch = tier.epochs.get(bundle);
    if (epoch === undefined || epoch.phase === 'joining') return endSealed(turn, job, 'candidate_unknown');
    if (epoch.phase === 'leaving') {
      epoch.waiting.add(job.id);
      schedule(turn, job);
      return undefined;
    }
    const node = tier.connections.get(epoch.connectionId);
    if (node === undefined) throw new Error(`bundle ${bundle} has outlived its connection`);
    if (node.jobs.size >= epoch.offer.concurrency + config.nodeQueue)
      return endSealed(turn, job, 'node_busy');
    return offer(turn, job, epoch, node);
  }
}

/** The candidate has refused, and its signature is right. */
export function onRefused(turn: Turn, job: SealedJob, signed: SignedRefusal): void {
  const { bundle, code } = signed.refusal;
  release(turn, job);
  if (job.abandoned !== null) return endSealed(turn, job, job.abandoned);
  enter(turn, job, 'placing');
  skip(turn, job, bundle, code, { kind: 'refused', signed });
  place(turn, job);
}

function skip(
  turn: Turn,
  job: SealedJob,
  bundle: string,
  code: string,
  proof: SealedJob['skipped'][number],
): void {
  job.skipped.push(proof);
  job.candidate += 1;
  note(turn, { kind: 'sealed-job-skipped', jobId: job.id, bundle, code });
}

function offer(turn: Turn, job: SealedJob, epoch: Epoch, node: NodeConnection): void {
  const { header, wraps, body } = job.request;
  const wrap = wraps[job.candidate];
  if (wrap === undefined) throw new Error(`sealed job ${job.id} has no wrap for candidate ${job.candidate}`);
  enter(turn, job, 'offered');
  job.epoch = epoch;
  node.jobs.add(job.id);
  tell(turn, node.id, { type: 'sealed-offer', header, candidate: job.candidate, wrap, body });
  schedule(turn, job);
}

/** The node that has a job is done with it. */
export function release(turn: Turn, job: SealedJob): void {
  const node = turn.state.private.connections.get(job.epoch?.connectionId ?? '');
  if (node === undefined || !node.jobs.delete(job.id)) return;
  node.endedJobs.add(job.id);
  const [oldest] = node.endedJobs;
  if (node.endedJobs.size > ENDED_REMEMBERED && oldest !== undefined) node.endedJobs.delete(oldest);
}

/** The directory says that its candidate has left. */
export function placeAfterDeparture(turn: Turn, jobId: string): void {
  const job = turn.state.private.jobs.get(jobId);
  if (takesSealed(job, 'candidate-departed')) place(turn, job);
}

/** A connection has gone, and its bundles are leaving the directory. Offers go on; what it had begun has failed. */
export function onNodeLost(turn: Turn, node: NodeConnection, reason: LeaveReason): void {
  for (const jobId of node.jobs) {
    const job = turn.state.private.jobs.get(jobId);
    if (!takesSealed(job, 'node-lost')) continue;
    if (job.phase === 'offered') {
      enter(turn, job, 'placing');
      place(turn, job);
    } else endSealed(turn, job, job.abandoned ?? (reason === 'misbehaved' ? 'node_misbehaved' : 'node_lost'));
  }
  node.jobs.clear();
}

/** When a job must have moved, in the phase it is in. */
export function deadlineOf({ state: { config } }: Turn, job: SealedJob): number {
  const patience = job.phaseAtMs + privateLimits.acceptTimeoutMs;
  switch (job.phase) {
    case 'placing':
    case 'offered':
    case 'closing':
    case 'cancelling':
      return patience;
    case 'running': {
      const silence = job.chunks === 0 ? config.firstTokenSilenceMs : config.tokenSilenceMs;
      return Math.min(job.lastChunkMs + silence, job.startedAtMs + privateLimits.jobMaxMs);
    }
    case 'refusing':
    case 'checking':
    case 'settling':
    case 'ended':
      return Infinity;
    default:
      return job.phase satisfies never;
  }
}

export const schedule = (turn: Turn, job: SealedJob): void =>
  lookAgain(turn, 'sealed-job', job.id, deadlineOf(turn, job));

/** Nobody waits for the rest: the node stops, and signs what it has done so far. */
export function abandonSealed(turn: Turn, jobId: string, code: 'client_gone' | 'shutting_down'): void {
  const job = turn.state.private.jobs.get(jobId);
  if (!takesSealed(job, 'sealed-job-abandoned')) return;
  job.abandoned = code;
  if (job.phase === 'placing') endSealed(turn, job, code);
  else if (job.phase !== 'refusing') cancel(turn, job, code);
}

/** Asks the node to stop; what it has done is settled by its receipt. */
export function cancel(turn: Turn, job: SealedJob, code: ErrorCode): void {
  job.abandoned = code;
  enter(turn, job, 'cancelling');
  job.request.body = '';
  stopNode(turn, job, code);
  schedule(turn, job);
}

/** Ends a job that its node does not go on with. */
export function giveUp(turn: Turn, job: SealedJob): void {
  stopNode(turn, job, 'node_lost');
  endSealed(turn, job, job.abandoned ?? 'node_lost');
}

function stopNode(turn: Turn, job: SealedJob, code: ErrorCode): void {
  if (job.epoch === null) throw new Error(`sealed job ${job.id} has no node to stop`);
  const { connectionId } = job.epoch;
  tell(turn, connectionId, { type: 'job-cancel', jobId: job.id, reason: errorKinds[code].message });
}

/** Ends a job without a receipt: nothing is charged. */
export function endSealed(turn: Turn, job: SealedJob, code: ErrorCode): void {
  const { skipped } = job;
  effect(turn, { type: 'fail-sealed', jobId: job.id, failure: failure(code), skipped });
  dismissSealed(turn, job);
  noteEnd(turn, job, {
    outcome: job.abandoned === null ? 'failed' : 'cancelled',
    code,
    tokens: 0,
    chargedNano: 0n,
  });
}

/** Forgets a job and releases what it held. */
export function dismissSealed(turn: Turn, job: SealedJob): void {
  const { private: tier, deadlines } = turn.state;
  release(turn, job);
  enter(turn, job, 'ended');
  const { header } = job.request;
  const waitedFor = tier.epochs.get(header.candidates[job.candidate] ?? '');
  waitedFor?.waiting.delete(job.id);
  tier.jobs.delete(job.id);
  deadlines.forget('sealed-job', job.id);
  releaseHold(turn.state, job);
  for (const [id, untilMs] of tier.endedJobs) {
    if (untilMs >= turn.atMs && tier.endedJobs.size < IDS_REMEMBERED) break;
    tier.endedJobs.delete(id);
  }
  tier.endedJobs.set(job.id, header.notAfterMs);
}

export function noteEnd(
  turn: Turn,
  job: SealedJob,
  end: {
    readonly outcome: 'complete' | 'cancelled' | 'failed';
    readonly code: ErrorCode | null;
    readonly tokens: number;
    readonly chargedNano: bigint;
  },
): void {
  const { id: jobId, chunks, submittedAtMs } = job;
  note(turn, { kind: 'sealed-job-ended', jobId, ...end, chunks, totalMs: turn.atMs - submittedAtMs });
}
