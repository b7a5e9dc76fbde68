/**
 * The life of a job. It waits, is offered, runs, is checked and settled; a contributor that vanishes, fails, stalls or lies
 * loses its lease, and the job goes on elsewhere from what was delivered. Nothing is said to the client about the end
 * before the books are written.
 */
import { errorKinds, failure, type ErrorCode } from '@tussah/protocol/errors';
import type { ContributorFrame } from '@tussah/protocol/contributor-frames';
import { costOf, priceToWire } from '@tussah/protocol/money';
import { hashOfIds } from '@tussah/protocol/bytes';
import type { Receipt, SegmentEnd } from '@tussah/protocol/receipts';
import { countGuest } from './guests.ts';
import { apply } from './ledger.ts';
import { offerToPools, isIdle, takeContributor, takeJob, tooExpensive } from './pools.ts';
import { segmentOf, settlementOf } from './settlement.ts';
import type { Contributor, HeldBuild, Job, JobPhase, Lease, Outcome, Pool } from './state.ts';
import { lookAgain, note, type Turn } from './turn.ts';

/** Which phase may follow which. Anything else is a bug of ours. */
export const jobTransitions: Readonly<Record<JobPhase, readonly JobPhase[]>> = {
  queued: ['offered', 'settling', 'ended'],
  offered: ['running', 'queued', 'settling', 'ended'],
  running: ['checking', 'queued', 'settling', 'ended'],
  checking: ['settling', 'queued'],
  settling: ['ended'],
  ended: [],
};

function enter(job: Job, phase: JobPhase): void {
  if (!jobTransitions[job.phase].includes(phase))
    throw new Error(`job ${job.request.id} can't go from ${job.phase} to ${phase}`);
  job.phase = phase;
}

/** Jobs that ended lately, remembered for each contributor: frames about them may still be under way. */
const ENDED_REMEMBERED = 8;

type Frame<Type extends ContributorFrame['type']> = Extract<ContributorFrame, { type: Type }>;

const poolOf = (turn: Turn, job: Job): Pool => {
  const pool = turn.state.pools.get(job.request.model);
  if (pool === undefined) throw new Error(`no pool for ${job.request.model}`);
  return pool;
};

/** Finds a contributor for a job that was just admitted or cut; queues it where there is none. */
export function place(turn: Turn, job: Job): void {
  const pool = poolOf(turn, job);
  const entry = takeContributor(turn, pool, job);
  if (entry !== undefined) {
    lease(turn, job, entry.contributor, entry.build);
    return;
  }
  const flow = turn.state.flows.get(job.request.flow);
  if (flow !== undefined) flow.queued += 1;
  if (job.segments.length > 0) pool.queue.pushFirst(job, job.request.flow);
  else
    pool.queue.push(job, job.request.flow, job.request.prompt.ids.length + job.maxTokens, job.request.weight);
  note(turn, { kind: 'job-queued', jobId: job.request.id, model: job.request.model });
  schedule(turn, job);
}

/** Gives a contributor that is free its next job, or enters it into the pools. */
export function employ(turn: Turn, contributor: Contributor): void {
  if (!isIdle(turn, contributor)) {
    if (contributor.restUntilMs > turn.atMs)
      lookAgain(turn, 'contributor', contributor.publicKey, contributor.restUntilMs);
    return;
  }
  const taken = takeJob(turn, contributor);
  if (taken === undefined) {
    offerToPools(turn, contributor);
    return;
  }
  leftQueue(turn, taken.job);
  lease(turn, taken.job, contributor, taken.build);
}

function leftQueue(turn: Turn, job: Job): void {
  const flow = turn.state.flows.get(job.request.flow);
  if (flow !== undefined) flow.queued -= 1;
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
  };
  job.tried.add(contributor.publicKey);
  job.attempts += 1;
  contributor.jobId = request.id;
  contributor.version += 1;
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

function send(
  turn: Turn,
  contributor: Contributor,
  frame: Extract<Turn['effects'][number], { type: 'send' }>['frame'],
): void {
  if (contributor.connectionId !== null)
    turn.effects.push({ type: 'send', connectionId: contributor.connectionId, frame });
}

/** When a job must have moved, in the phase it is in. */
export function deadlineOf(turn: Turn, job: Job): number {
  const { config } = turn.state;
  const { lease } = job;
  if (job.phase === 'queued') return job.waitUntilMs;
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
  if (deadlineOf(turn, job) > turn.atMs) {
    schedule(turn, job);
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
  if (contributor !== undefined) {
    if (blame) blameContributor(turn, contributor);
    send(turn, contributor, {
      type: 'job-cancel',
      jobId: job.request.id,
      reason: `the job went elsewhere: ${end}`,
    });
    release(turn, contributor, job);
  }
  enter(job, 'queued');
  // Who lost its connection may go on with the job when it is back; who failed at it may not.
  if (end === 'lost') job.tried.delete(lease.publicKey);
  if (job.attempts >= turn.state.config.attempts) {
    job.failure = 'contributor_failed';
    settleOrEnd(turn, job, { kind: 'failed', finishReason: null });
    return;
  }
  if (job.segments.length > 0) job.waitUntilMs = turn.atMs + turn.state.config.continuationWaitMs;
  else job.waitUntilMs = Math.max(job.waitUntilMs, turn.atMs + 1);
  place(turn, job);
}

function blameContributor(turn: Turn, contributor: Contributor): void {
  contributor.record.jobsFailed += 1;
  contributor.failuresInRow += 1;
  if (contributor.failuresInRow < turn.state.config.failuresBeforeRest) return;
  contributor.failuresInRow = 0;
  contributor.restUntilMs = turn.atMs + turn.state.config.restMs;
}

/** Turns the lease into a segment and clears it. */
function endLease(turn: Turn, job: Job, end: SegmentEnd, signature: string | null): void {
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

/** The contributor is done with this job and may have another. */
function release(turn: Turn, contributor: Contributor, job: Job): void {
  if (contributor.jobId !== job.request.id) return;
  contributor.jobId = null;
  contributor.endedJobs.push(job.request.id);
  if (contributor.endedJobs.length > ENDED_REMEMBERED) contributor.endedJobs.shift();
  employ(turn, contributor);
}

/** Ends a queued job for want of somebody to serve it. */
export function giveUp(turn: Turn, job: Job, code: ErrorCode): void {
  poolOf(turn, job).queue.remove(job);
  leftQueue(turn, job);
  job.failure = code;
  settleOrEnd(turn, job, { kind: 'failed', finishReason: null });
}

/** Nobody waits for the rest: what was delivered is charged, the contributor stops. */
export function abandon(turn: Turn, jobId: string, code: 'client_gone' | 'shutting_down'): void {
  const job = turn.state.jobs.get(jobId);
  if (job === undefined || job.phase === 'checking' || job.phase === 'settling') return;
  job.failure = code;
  const { lease } = job;
  if (lease === null) {
    poolOf(turn, job).queue.remove(job);
    leftQueue(turn, job);
  } else {
    const contributor = turn.state.contributors.get(lease.publicKey);
    endLease(turn, job, 'cancelled', null);
    if (contributor !== undefined) {
      send(turn, contributor, { type: 'job-cancel', jobId, reason: errorKinds[code].message });
      release(turn, contributor, job);
    }
  }
  settleOrEnd(turn, job, { kind: 'cancelled', finishReason: null });
}

/** Writes the books if anything was delivered; ends the job at once if not. A failed answer that was never sent is free. */
function settleOrEnd(turn: Turn, job: Job, outcome: Outcome): void {
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
  if (job === undefined || job.outcome === null || job.draft === null) return;
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
  if (job === undefined || job.outcome === null) return;
  job.failure = 'store_failed';
  end(turn, job, { kind: 'failed', finishReason: null }, null);
}

/** Releases what the job held and tells the client how it ended. */
function end(turn: Turn, job: Job, outcome: Outcome, receipt: Receipt | null): void {
  const { state } = turn;
  const { request } = job;
  enter(job, 'ended');
  state.jobs.delete(request.id);
  releaseReservation(turn, job);
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

function releaseReservation(turn: Turn, job: Job): void {
  const { reserved, flows } = turn.state;
  const { payer, flow: flowName } = job.request;
  const held = (reserved.get(payer) ?? 0n) - job.reservedNano;
  if (held === 0n) reserved.delete(payer);
  else reserved.set(payer, held);
  const flow = flows.get(flowName);
  if (flow === undefined) return;
  flow.active -= 1;
  flow.reservedNano -= job.reservedNano;
  if (flow.active === 0) flows.delete(flowName);
}

// Frames about a job. Each returns a sentence when the frame is a breach of the protocol.

type Breach = string | undefined;

/** The job a frame is about, if the sender holds its lease; `ended` when it lately did. */
function leased(
  turn: Turn,
  contributor: Contributor,
  jobId: string,
): { job: Job; lease: Lease } | 'ended' | undefined {
  const job = turn.state.jobs.get(jobId);
  if (contributor.jobId === jobId && job?.lease?.publicKey === contributor.publicKey)
    return { job, lease: job.lease };
  return contributor.endedJobs.includes(jobId) ? 'ended' : undefined;
}

const notYours = 'a frame about a job that this contributor does not hold';

export function onAccept(turn: Turn, contributor: Contributor, frame: Frame<'job-accept'>): Breach {
  const held = leased(turn, contributor, frame.jobId);
  if (held === 'ended') return undefined;
  if (held === undefined) return notYours;
  const { job, lease } = held;
  if (job.phase !== 'offered') return 'accepted twice';
  enter(job, 'running');
  lease.acceptedAtMs = turn.atMs;
  lease.lastFrameMs = turn.atMs;
  note(turn, { kind: 'job-started', jobId: frame.jobId, model: job.request.model });
  schedule(turn, job);
  return undefined;
}

export function onDecline(turn: Turn, contributor: Contributor, frame: Frame<'job-decline'>): Breach {
  const held = leased(turn, contributor, frame.jobId);
  if (held === 'ended') return undefined;
  if (held === undefined) return notYours;
  if (held.job.phase !== 'offered') return 'declined after accepting';
  loseLease(turn, held.job, 'failed', frame.reason, false);
  return undefined;
}

export function onDelta(turn: Turn, contributor: Contributor, frame: Frame<'text-delta'>): Breach {
  const held = leased(turn, contributor, frame.jobId);
  if (held === 'ended') return undefined;
  if (held === undefined) return notYours;
  const { job, lease } = held;
  const fault = deltaFault(turn, job, frame);
  if (fault !== undefined) {
    loseLease(turn, job, 'refused', fault);
    return fault;
  }
  if (lease.ids.length === 0) lease.firstTokenMs = turn.atMs;
  if (job.ids.length === 0) job.ttftMs = turn.atMs - job.submittedAtMs;
  lease.lastFrameMs = turn.atMs;
  for (const id of frame.ids) {
    lease.ids.push(id);
    job.ids.push(id);
  }
  lease.text += frame.text;
  job.text.push(frame.text);
  turn.effects.push({ type: 'deliver', jobId: frame.jobId, text: frame.text, logprobs: frame.logprobs });
  return undefined;
}

function deltaFault(turn: Turn, job: Job, frame: Frame<'text-delta'>): Breach {
  if (job.phase !== 'running') return 'text before the job was accepted or after it was done';
  if (frame.position !== job.ids.length)
    return `text at position ${frame.position}, expected ${job.ids.length}`;
  if (job.ids.length + frame.ids.length > job.maxTokens) return 'more tokens than asked for';
  if (
    job.request.topLogprobs === null
      ? frame.logprobs !== undefined
      : (frame.logprobs?.length ?? 0) > frame.ids.length
  )
    return 'log probabilities that were not asked for';
  const text = turn.codecs.codecOf(job.request.model)?.textOf(frame.ids);
  return text === frame.text ? undefined : 'token ids that do not decode to the text';
}

export function onDone(turn: Turn, contributor: Contributor, frame: Frame<'job-done'>): Breach {
  const held = leased(turn, contributor, frame.jobId);
  if (held === 'ended') return undefined;
  if (held === undefined) return notYours;
  const { job, lease } = held;
  if (job.phase !== 'running') return 'done before the job was accepted';
  const idsHash = hashOfIds(lease.ids);
  if (frame.tokens !== lease.ids.length || frame.idsHash !== idsHash) {
    loseLease(turn, job, 'refused', 'a signed count or hash that differs from what was delivered');
    return 'a signed count or hash that differs from what was delivered';
  }
  enter(job, 'checking');
  job.done = { finishReason: frame.finishReason, signature: frame.signature };
  turn.effects.push({
    type: 'check-segment',
    jobId: frame.jobId,
    publicKey: contributor.publicKey,
    signature: frame.signature,
    facts: {
      jobId: frame.jobId,
      contributor: contributor.publicKey,
      model: job.request.model,
      build: lease.build,
      seedRoot: job.request.seedRoot,
      promptHash: job.request.promptHash,
      firstPosition: lease.firstPosition,
      tokens: lease.ids.length,
      idsHash,
      end: frame.finishReason,
    },
  });
  return undefined;
}

export function onFailed(turn: Turn, contributor: Contributor, frame: Frame<'job-failed'>): Breach {
  const held = leased(turn, contributor, frame.jobId);
  if (held === 'ended') return undefined;
  if (held === undefined) return notYours;
  if (held.job.phase === 'checking') return 'failed after it was done';
  loseLease(turn, held.job, 'failed', frame.code);
  return undefined;
}

/** The signature under a finished segment was checked. Returns whether the contributor may stay. */
export function onSegmentChecked(turn: Turn, jobId: string, publicKey: string, valid: boolean): boolean {
  const job = turn.state.jobs.get(jobId);
  if (
    job === undefined ||
    job.phase !== 'checking' ||
    job.lease?.publicKey !== publicKey ||
    job.done === null
  )
    return true;
  if (!valid) {
    loseLease(turn, job, 'refused', 'a bad signature');
    return false;
  }
  const { lease, done } = job;
  const contributor = turn.state.contributors.get(publicKey);
  if (contributor !== undefined) rememberSuccess(turn, contributor, lease);
  endLease(turn, job, done.finishReason, done.signature);
  settleOrEnd(turn, job, { kind: 'complete', finishReason: done.finishReason });
  if (contributor !== undefined) release(turn, contributor, job);
  return true;
}

/** Smooths speed and time to the first token over jobs: a fifth of the new value each time. */
function rememberSuccess(turn: Turn, contributor: Contributor, lease: Lease): void {
  const { record } = contributor;
  const smooth = (old: number | null, now: number) => (old === null ? now : old + (now - old) / 5);
  contributor.failuresInRow = 0;
  record.jobsDone += 1;
  record.tokens += lease.ids.length;
  if (lease.ids.length === 0) return;
  contributor.ttftMs = smooth(contributor.ttftMs, lease.firstTokenMs - lease.acceptedAtMs);
  const seconds = (lease.lastFrameMs - lease.firstTokenMs) / 1000;
  // Shorter answers say nothing about speed.
  if (lease.ids.length >= 8 && seconds > 0)
    record.tokensPerSecond = smooth(record.tokensPerSecond, (lease.ids.length - 1) / seconds);
}

/** What a request may cost at most, by the model's list price. */
export const ceilingOf = (pool: Pool, promptTokens: number, maxTokens: number): bigint =>
  costOf(pool.model.price, promptTokens, maxTokens);
