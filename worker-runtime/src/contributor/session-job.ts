/** The job side of the session: at most one runs; what it produced is kept until its receipt, so that it can be sent again. */
import type { CoordinatorFrame, JobOffer } from '@tussah/protocol/contributor-frames';
import { limits } from '@tussah/protocol/limits';
import { priceFromWire } from '@tussah/protocol/money';
import { appendDelta, deltasFrom, emptyLog, framesOf, type AnswerDelta } from './deltas.ts';
import { type AnswerEnd, type Job, type LastFrame, timing, UNSETTLED_MAX } from './session-state.ts';
import { change, illegal, isLive, send, sendIfLive, type Turn } from './session-turn.ts';

type Running = Extract<Job, { at: 'running' }>;

export function onOffer(turn: Turn, offer: JobOffer): void {
  const { job } = turn.state;
  const running = job.at === 'running' || job.at === 'signing';
  if (running && job.jobId === offer.jobId) return illegal(turn, 'a job was offered that already runs here');
  const reason = running
    ? 'Another job is running here.'
    : job.at === 'stopping' && job.next !== null
      ? 'Another offer is waiting here.'
      : reasonToDecline(turn, offer);
  if (reason !== undefined) return decline(turn, offer.jobId, reason);
  if (job.at === 'stopping') {
    const byMs = turn.moment.nowMs + timing.offerWaitMs;
    return change(turn, { job: { ...job, next: { offer, byMs } } });
  }
  accept(turn, offer);
}

/** Why this offer can't be served here; undefined when it can. */
function reasonToDecline(turn: Turn, offer: JobOffer): string | undefined {
  const { announcement, intent, engine, link } = turn.state;
  if (announcement === null || engine === 'gone') return 'The engine is starting again.';
  if (intent === 'pause') return 'The contributor is paused.';
  if (intent === 'finish' || link.at !== 'welcomed') return 'The contributor is about to stop.';
  if (offer.model !== announcement.model || offer.build !== announcement.build)
    return 'This build is not loaded here.';
  const given = offer.prompt.ids.length + offer.prefix.ids.length;
  if (given >= announcement.contextTokens) return 'The prompt does not fit the context of this build.';
  if (offer.prefix.ids.length >= offer.maxTokens) return 'There is nothing left to generate.';
  if (announcement.ask !== null) {
    const ask = priceFromWire(announcement.ask);
    const price = priceFromWire(offer.price);
    const below =
      price.promptNanoPerMillion < ask.promptNanoPerMillion ||
      price.completionNanoPerMillion < ask.completionNanoPerMillion;
    if (below) return 'The price is below what this contributor asks.';
  }
  return undefined;
}

export function decline(turn: Turn, jobId: string, reason: string): void {
  sendIfLive(turn, { type: 'job-decline', jobId, reason });
}

function accept(turn: Turn, offer: JobOffer): void {
  const { jobId, prefix, maxTokens } = offer;
  const firstPosition = prefix.ids.length;
  send(turn, { type: 'job-accept', jobId });
  turn.effects.push({ do: 'start-answer', offer });
  change(turn, {
    job: {
      at: 'running',
      jobId,
      endBound: maxTokens,
      log: emptyLog(firstPosition),
      sentTo: firstPosition,
      firstMs: null,
      lastMs: null,
    },
    unsettled: [...turn.state.unsettled.filter((id) => id !== jobId), jobId].slice(-UNSETTLED_MAX),
  });
}

export function onDelta(turn: Turn, jobId: string, delta: AnswerDelta): void {
  const { job } = turn.state;
  // A job that is being stopped may still make a piece or two.
  if (job.at !== 'running' || job.jobId !== jobId) return;
  const log = appendDelta(job.log, delta, job.endBound);
  if (log === undefined)
    return abandon(turn, job, 'engine_failed', 'The pieces of the answer do not fit together.');
  const { nowMs } = turn.moment;
  const next: Running = { ...job, log, firstMs: job.firstMs ?? nowMs, lastMs: nowMs };
  change(turn, { job: next });
  flush(turn);
}

/** Sends what the current connection has not got. Pieces come gathered already, see engine/answer.ts. */
function flush(turn: Turn): void {
  const { job, link } = turn.state;
  if (job.at !== 'running' || !isLive(link)) return;
  const deltas = deltasFrom(job.log, job.sentTo);
  if (deltas === undefined) throw new Error('sent positions always end where a piece ends');
  for (const frame of framesOf(job.jobId, deltas)) send(turn, frame);
  change(turn, { job: { ...job, sentTo: job.log.endPosition } });
}

/** The generator is over, whatever was asked of it. */
export function onAnswerFinished(turn: Turn, jobId: string, end: AnswerEnd): void {
  const { job } = turn.state;
  if (job.at === 'stopping' && job.jobId === jobId) return onEngineFree(turn);
  if (job.at !== 'running' || job.jobId !== jobId) return;
  flush(turn);
  const { log } = job;
  if (end.tokens !== log.endPosition - log.firstPosition)
    return finish(turn, job, failed(jobId, 'engine_failed', 'The engine miscounted its own tokens.'));
  measure(turn, job);
  change(turn, { job: { at: 'signing', jobId, log, end } });
  turn.effects.push({ do: 'sign-segment', jobId, end });
}

export function onAnswerFailed(turn: Turn, jobId: string, code: string, message: string): void {
  const { job } = turn.state;
  if (job.at === 'stopping' && job.jobId === jobId) return onEngineFree(turn);
  const open = job.at === 'running' || job.at === 'signing';
  if (!open || job.jobId !== jobId) return;
  flush(turn);
  finish(turn, job, failed(jobId, code, message));
}

export function onSegmentSigned(turn: Turn, jobId: string, signature: string): void {
  const { job, tally } = turn.state;
  if (job.at !== 'signing' || job.jobId !== jobId) return;
  change(turn, { tally: { ...tally, jobsDone: tally.jobsDone + 1 } });
  finish(turn, job, { type: 'job-done', jobId, ...job.end, signature });
}

function finish(turn: Turn, job: Extract<Job, { at: 'running' | 'signing' }>, last: LastFrame): void {
  sendIfLive(turn, last);
  if (job.at === 'running') measure(turn, job);
  const { jobId, log } = job;
  change(turn, { job: { at: 'ended', jobId, log, last, endedMs: turn.moment.nowMs } });
}

const failed = (jobId: string, code: string, message: string): LastFrame => ({
  type: 'job-failed',
  jobId,
  code: code.slice(0, 64),
  // A cut may fall inside a surrogate pair.
  message: message.slice(0, limits.reasonCharacters).toWellFormed(),
});

function measure(turn: Turn, { log, firstMs, lastMs }: Running): void {
  const tokens = log.endPosition - log.firstPosition;
  const { tally } = turn.state;
  const elapsedMs = (lastMs ?? 0) - (firstMs ?? 0);
  const tokensPerSecond = elapsedMs > 0 ? ((tokens - 1) * 1000) / elapsedMs : tally.tokensPerSecond;
  change(turn, { tally: { ...tally, tokensDone: tally.tokensDone + tokens, tokensPerSecond } });
}

/** Says that the job failed and stops its generator. */
function abandon(turn: Turn, job: Running, code: string, message: string): void {
  sendIfLive(turn, failed(job.jobId, code, message));
  stopAnswer(turn, job);
}

function stopAnswer(turn: Turn, job: Running): void {
  measure(turn, job);
  turn.effects.push({ do: 'stop-answer', jobId: job.jobId });
  const byMs = turn.moment.nowMs + timing.stopEngineMs;
  change(turn, { job: { at: 'stopping', jobId: job.jobId, byMs, next: null } });
}

function onEngineFree(turn: Turn): void {
  const { job } = turn.state;
  const next = job.at === 'stopping' ? job.next : null;
  change(turn, { job: { at: 'none' } });
  if (next === null) return;
  const reason = reasonToDecline(turn, next.offer);
  if (reason === undefined) accept(turn, next.offer);
  else decline(turn, next.offer.jobId, reason);
}

/** The job is wanted no longer, or can't be delivered. */
export function dropJob(turn: Turn): void {
  const { job } = turn.state;
  switch (job.at) {
    case 'running':
      return stopAnswer(turn, job);
    case 'signing':
    case 'ended':
      return change(turn, { job: { at: 'none' } });
    case 'stopping':
    case 'none':
      return;
    default:
      job satisfies never;
  }
}

export function onJobCancel(turn: Turn, jobId: string): void {
  const { job } = turn.state;
  if (job.at === 'stopping' && job.next?.offer.jobId === jobId)
    return change(turn, { job: { ...job, next: null } });
  // A cancel that crosses our last frame is no mistake of anybody's.
  if (job.at !== 'none' && job.jobId === jobId) dropJob(turn);
}

export function onJobSettled(turn: Turn, frame: Extract<CoordinatorFrame, { type: 'job-settled' }>): void {
  const { job, tally, unsettled } = turn.state;
  // Counted once, however often it is said; earlier runs' jobs show in the total only.
  const ours = unsettled.includes(frame.jobId);
  const earned = BigInt(tally.earnedHereNano) + (ours ? BigInt(frame.payNano) : 0n);
  change(turn, {
    tally: { ...tally, earnedHereNano: earned.toString(), earnedTotalNano: frame.earnedNano },
    unsettled: unsettled.filter((id) => id !== frame.jobId),
  });
  if (job.at === 'ended' && job.jobId === frame.jobId) dropJob(turn);
}

export function onEngineGone(turn: Turn, reason: string): void {
  const { job } = turn.state;
  if (job.at === 'running') {
    flush(turn);
    finish(turn, job, failed(job.jobId, 'engine_lost', reason));
  }
  if (job.at === 'stopping') {
    if (job.next !== null) decline(turn, job.next.offer.jobId, 'The engine is starting again.');
    change(turn, { job: { at: 'none' } });
  }
}

/** Puts the job in accord with what a new connection says is still wanted, and sends again what it lacks. */
export function resumeJob(turn: Turn, wanted: { jobId: string; position: number } | undefined): void {
  const { job } = turn.state;
  const same = wanted !== undefined && job.at !== 'none' && job.jobId === wanted.jobId;
  if (!same || job.at === 'stopping') {
    if (wanted !== undefined)
      send(turn, failed(wanted.jobId, 'job_unknown', 'This job is no longer held here.'));
    return dropJob(turn);
  }
  const deltas = deltasFrom(job.log, wanted.position);
  if (deltas === undefined) return illegal(turn, 'a job was resumed at a position where no piece begins');
  if (job.at === 'running') {
    change(turn, { job: { ...job, sentTo: wanted.position } });
    return flush(turn);
  }
  for (const frame of framesOf(job.jobId, deltas)) send(turn, frame);
  if (job.at === 'ended') send(turn, job.last);
}
