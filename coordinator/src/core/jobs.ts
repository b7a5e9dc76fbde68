/**
 * The life of a job. It waits, is offered, runs, is checked and settled; a contributor that vanishes, fails, stalls or lies
 * loses its lease, and the job goes on elsewhere from what was delivered. Nothing is said to the client about the end
 * before the books are written.
 */
import { errorKinds, type ErrorCode } from '@tussah/protocol/errors';
import { costOf, priceToWire } from '@tussah/protocol/money';
import type { SegmentEnd } from '@tussah/protocol/receipts';
import type { FinishReason } from '@tussah/protocol/sampling';
import { onLeaseLost } from './checkpoints.ts';
import { queueGroupOf } from './guests.ts';
import { settleInterrupted, settleOrEnd } from './job-endings.ts';
import { takes } from './job-events.ts';
import { enter, poolOf, send } from './job-phases.ts';
import { offerToPools, isIdle, takeContributor, takeJob, tooExpensive } from './pools.ts';
import { segmentOf } from './settlement.ts';
import type { Contributor, HeldBuild, Job, Pool } from './state.ts';
import { lookAgain, note, type Turn } from './turn.ts';

/** Jobs that ended lately, remembered for each contributor: frames about them may still be under way. */
const ENDED_REMEMBERED = 8;

/** Finds a contributor for a job that was just admitted or cut; queues it where there is none. */
export function place(turn: Turn, job: Job): void {
  const finishReason = endOf(job);
  if (finishReason !== null) {
    settleOrEnd(turn, job, { kind: 'complete', finishReason });
    return;
  }
  const pool = poolOf(turn, job);
  // Contributors have been told to expect no other job.
  const entry = turn.state.draining ? undefined : takeContributor(turn, pool, job);
  if (entry !== undefined) {
    lease(turn, job, entry.contributor, entry.build);
    return;
  }
  const flow = turn.state.flows.get(job.request.flow);
  if (flow !== undefined) flow.queued += 1;
  turn.state.queued += 1;
  if (job.segments.length > 0) pool.queue.pushFirst(job);
  else {
    const { flow: name, weight } = job.request;
    pool.queue.push(job, name, job.promptTokens + job.maxTokens, weight, queueGroupOf(job.request));
  }
  note(turn, { kind: 'job-queued', jobId: job.request.id, model: job.request.model });
  schedule(turn, job);
}

/** How an answer has ended whose contributor was lost before it signed that; null when there is more to come. */
const endOf = (job: Job): FinishReason | null =>
  job.endSaid ?? (job.ids.length >= job.maxTokens ? 'length' : null);

/** Gives a contributor that is free its next job, or enters it into the pools. */
export function employ(turn: Turn, contributor: Contributor): void {
  if (!isIdle(turn, contributor)) {
    if (contributor.restUntilMs > turn.atMs)
      lookAgain(turn, 'contributor', contributor.publicKey, contributor.restUntilMs);
    return;
  }
  const taken = turn.state.draining ? undefined : takeJob(turn, contributor);
  if (taken === undefined) {
    offerToPools(turn, contributor);
    return;
  }
  leftQueue(turn, taken.job);
  lease(turn, taken.job, contributor, taken.build);
}

/** Counts a job out of its flow's queue. */
function leftQueue(turn: Turn, job: Job): void {
  const flow = turn.state.flows.get(job.request.flow);
  if (flow !== undefined) flow.queued -= 1;
  turn.state.queued -= 1;
}

function lease(turn: Turn, job: Job, contributor: Contributor, build: HeldBuild): void {
  const { request } = job;
  enter(job, 'offered');
  job.lease = {
    publicKey: contributor.publicKey,
    build: build.build,
    profile: build.profile,
    price: build.ask,
    offeredAtMs: turn.atMs,
    acceptedAtMs: 0,
    firstTokenMs: 0,
    lastFrameMs: turn.atMs,
    firstPosition: job.ids.length,
    ids: [],
    text: '',
    idsHash: null,
    journal: null,
  };
  job.tried.add(contributor.publicKey);
  job.attempts += 1;
  contributor.jobId = request.id;
  contributor.lastServed = turn.state.served++;
  poolOf(turn, job).running += 1;
  send(turn, contributor, {
    type: 'job-offer',
    jobId: request.id,
    model: request.model,
    build: build.build,
    prompt: { text: request.prompt.text, ids: [...request.prompt.ids] },
    prefix: { text: textSoFar(job), ids: [...job.ids] },
    sampling: request.sampling,
    maxTokens: job.maxTokens,
    stop: [...request.stop],
    seedRoot: request.seedRoot,
    topLogprobs: request.topLogprobs,
    price: priceToWire(build.ask),
  });
  schedule(turn, job);
}

const textSoFar = (job: Job): string => job.text.join('');

/** When a job must have moved, in the phase it is in. */
export function deadlineOf(turn: Turn, job: Job): number {
  const { config } = turn.state;
  const { lease } = job;
  if (job.phase === 'queued' || job.phase === 'interrupted') return job.waitUntilMs;
  if (lease === null || job.phase === 'checking') return Infinity;
  const contributor = turn.state.contributors.get(lease.publicKey);
  const grace =
    contributor === undefined || contributor.connectionId !== null
      ? Infinity
      : contributor.detachedAtMs + config.resumeGraceMs;
  if (job.phase === 'offered') return Math.min(grace, lease.offeredAtMs + config.acceptTimeoutMs);
  const silence = lease.ids.length === 0 ? config.firstTokenSilenceMs : config.tokenSilenceMs;
  return Math.min(grace, lease.lastFrameMs + silence);
}

export function schedule(turn: Turn, job: Job): void {
  const atMs = deadlineOf(turn, job);
  if (atMs >= job.scheduledMs) return;
  job.scheduledMs = atMs;
  lookAgain(turn, 'job', job.request.id, atMs);
}

/** The time set for a job has come: perhaps it has moved since, else it has failed at what it was doing. */
export function onDeadline(turn: Turn, jobId: string): void {
  const job = turn.state.jobs.get(jobId);
  if (job === undefined) return;
  job.scheduledMs = Infinity;
  if (!takes(job, 'deadline')) return;
  if (deadlineOf(turn, job) > turn.atMs) {
    schedule(turn, job);
    return;
  }
  if (job.phase === 'interrupted') {
    settleInterrupted(turn, job);
    return;
  }
  if (job.phase === 'queued') {
    const expensive = job.segments.length === 0 && tooExpensive(turn, poolOf(turn, job), job);
    giveUp(
      turn,
      job,
      expensive ? 'price_too_high' : job.segments.length > 0 ? 'contributor_failed' : 'no_contributor',
    );
    return;
  }
  const gone = job.lease !== null && turn.state.contributors.get(job.lease.publicKey)?.connectionId === null;
  loseLease(turn, job, gone ? 'lost' : 'silent', null);
}

/** Takes the job away from its contributor and finds another; the contributor's failure counts unless it declined. */
export function loseLease(turn: Turn, job: Job, end: SegmentEnd, detail: string | null, blame = true): void {
  const { lease } = job;
  if (lease === null) throw new Error(`job ${job.request.id} has no lease to lose`);
  const contributor = turn.state.contributors.get(lease.publicKey);
  note(turn, { kind: 'job-moved', jobId: job.request.id, publicKey: lease.publicKey, reason: end, detail });
  endLease(turn, job, end, null);
  // What a liar said of the end is worth nothing.
  if (end === 'refused') job.endSaid = null;
  if (contributor !== undefined) {
    if (blame) blameContributor(turn, contributor);
    send(turn, contributor, {
      type: 'job-cancel',
      jobId: job.request.id,
      reason: `the job went elsewhere: ${end}`,
    });
    // Whoever is caught lying is sent away, and gets nothing more before that.
    release(turn, contributor, job, end !== 'refused');
  }
  enter(job, 'queued');
  // Who lost its connection may go on with the job when it is back; who failed at it may not.
  if (end === 'lost') job.tried.delete(lease.publicKey);
  if (job.attempts >= turn.state.config.attempts && endOf(job) === null) {
    job.failure = 'contributor_failed';
    settleOrEnd(turn, job, { kind: 'failed', finishReason: null });
    return;
  }
  onLeaseLost(turn, job);
  if (job.segments.length > 0) job.waitUntilMs = turn.atMs + turn.state.config.continuationWaitMs;
  else job.waitUntilMs = Math.max(job.waitUntilMs, turn.atMs + 1);
  place(turn, job);
}

function blameContributor(turn: Turn, contributor: Contributor): void {
  contributor.record.jobsFailed += 1;
  contributor.classed = false;
  contributor.failuresInRow += 1;
  if (contributor.failuresInRow < turn.state.config.failuresBeforeRest) return;
  contributor.failuresInRow = 0;
  contributor.restUntilMs = turn.atMs + turn.state.config.restMs;
}

/** Turns the lease into a segment and clears it. */
export function endLease(turn: Turn, job: Job, end: SegmentEnd, signature: string | null): void {
  const { lease } = job;
  if (lease === null) return;
  const codec = turn.codecs.codecOf(job.request.model);
  if (codec === undefined) throw new Error(`no codec for ${job.request.model}`);
  const segment = segmentOf(codec, turn.state.contributors.get(lease.publicKey), lease, end, signature);
  if (segment !== undefined) job.segments.push(segment);
  job.lease = null;
  job.done = null;
  poolOf(turn, job).running -= 1;
}

/** The contributor is done with this job, and has another if it may. */
export function release(turn: Turn, contributor: Contributor, job: Job, another = true): void {
  if (contributor.jobId !== job.request.id) return;
  contributor.jobId = null;
  contributor.endedJobs.push(job.request.id);
  if (contributor.endedJobs.length > ENDED_REMEMBERED) contributor.endedJobs.shift();
  if (another) employ(turn, contributor);
}

/** Takes a queued job out of its queue. */
export function leaveQueue(turn: Turn, job: Job): void {
  poolOf(turn, job).queue.remove(job);
  leftQueue(turn, job);
}

/** Ends a queued job for want of somebody to serve it. */
export function giveUp(turn: Turn, job: Job, code: ErrorCode): void {
  leaveQueue(turn, job);
  job.failure = code;
  settleOrEnd(turn, job, { kind: 'failed', finishReason: null });
}

/** Nobody waits for the rest: what was delivered is charged, the contributor stops. */
export function abandon(turn: Turn, jobId: string, code: 'client_gone' | 'shutting_down'): void {
  const job = turn.state.jobs.get(jobId);
  if (!takes(job, 'job-abandoned')) return;
  job.failure = code;
  const { lease } = job;
  if (lease === null) leaveQueue(turn, job);
  else {
    const contributor = turn.state.contributors.get(lease.publicKey);
    endLease(turn, job, 'cancelled', null);
    if (contributor !== undefined) {
      send(turn, contributor, { type: 'job-cancel', jobId, reason: errorKinds[code].message });
      release(turn, contributor, job);
    }
  }
  settleOrEnd(turn, job, { kind: 'cancelled', finishReason: null });
}

/** What a request may cost at most, by the model's list price. */
export const ceilingOf = (pool: Pool, promptTokens: number, maxTokens: number): bigint =>
  costOf(pool.model.price, promptTokens, maxTokens);
