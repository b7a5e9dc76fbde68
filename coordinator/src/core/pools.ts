/**
 * Matching: per model a pool of idle contributors (cheapest, then fastest and most reliable class, then who served longest
 * ago) and a fair queue of jobs. Both look past whoever or whatever does not fit.
 */
import { guestMayUse } from './guests.ts';
import { exceeds, type Dearest } from './bids.ts';
import { kindOf } from './idle-pool.ts';
import type { Contributor, HeldBuild, Job, Pool, State } from './state.ts';
import type { Turn } from './turn.ts';

/** Contributors looked at to tell why nobody took a job. */
const SAMPLE = 64;

export const isIdle = (turn: Turn, contributor: Contributor): boolean =>
  contributor.connectionId !== null &&
  contributor.state === 'ready' &&
  contributor.jobId === null &&
  contributor.restUntilMs <= turn.atMs;

/** Speed that jobs have shown, or that it claims itself, in tokens a second. */
export const speedOf = (contributor: Contributor, build: HeldBuild): number =>
  contributor.record.tokensPerSecond ?? build.claimedTokensPerSecond;

/** Nobody reads faster, so a faster contributor is no better; tokens a second. */
const ENOUGH = 60;
/** Share of its jobs that it finished, as if it had finished four and failed none before: a newcomer gets its chance. */
const reliabilityOf = ({ record }: Contributor): number =>
  (record.jobsDone + 4) / (record.jobsDone + record.jobsFailed + 4);

/** Classes double in useful speed, so that near equals share the load. */
const speedClass = (contributor: Contributor, speed: number): number =>
  Math.floor(Math.log2(Math.max(Math.min(speed, ENOUGH) * reliabilityOf(contributor), 1 / 1024)));

/** Offers an idle contributor in the pools of all its models, as it is now. */
export function offerToPools({ state }: Turn, contributor: Contributor): void {
  if (!contributor.classed) classify(contributor, state);
  state.seats.offer(contributor.firstSeat, contributor.lastServed);
}

/** A contributor may not be taken from the pools any more. */
export const withdraw = ({ state }: Turn, { firstSeat }: Contributor): void =>
  state.seats.withdraw(firstSeat);

function classify(contributor: Contributor, { seats }: State): void {
  const ttftMs = contributor.ttftMs ?? 0;
  const measured = contributor.record.tokensPerSecond;
  const kind = measured === null ? -1 : kindAt(contributor, measured);
  contributor.classed = true;
  if (measured !== null && kind === contributor.kind) {
    seats.rateAll(contributor.firstSeat, measured, ttftMs);
    return;
  }
  contributor.kind = kind;
  for (const build of contributor.builds) {
    const speed = speedOf(contributor, build);
    seats.rate(build.seat, speed, ttftMs);
    build.pool.idle.classify(build.seat, build, kind < 0 ? kindAt(contributor, speed) : kind);
  }
}

const kindAt = (contributor: Contributor, speed: number): number =>
  kindOf(speedClass(contributor, speed), speed, contributor.ttftMs ?? 0);

/** Why a contributor can't have a job; undefined when it can. */
export function objection(
  turn: Turn,
  contributor: Contributor,
  build: HeldBuild,
  job: Job,
): 'tried' | 'build' | 'price' | 'speed' | 'guest' | undefined {
  const { minTokensPerSecond, maxTtftMs } = job.request;
  const isTooSlow =
    (minTokensPerSecond !== undefined && speedOf(contributor, build) < minTokensPerSecond) ||
    (maxTtftMs !== undefined && (contributor.ttftMs ?? 0) > maxTtftMs);
  return objectionOfFast(turn, contributor, build, job) ?? (isTooSlow ? 'speed' : undefined);
}

/** The same for one that is known to be fast enough. */
function objectionOfFast(
  turn: Turn,
  contributor: Contributor,
  build: HeldBuild,
  job: Job,
): 'tried' | 'build' | 'price' | 'guest' | undefined {
  if (!isFresh(job)) {
    if (job.tried.has(contributor.publicKey)) return 'tried';
    const begun = buildOf(job);
    if (begun !== undefined && begun !== build.build) return 'build';
  }
  if (job.dearest !== null && isTooDear(build, job, job.dearest)) return 'price';
  if (!job.request.guest) return undefined;
  return guestMayUse(turn.state, turn.atMs, contributor, build, job) ? undefined : 'guest';
}

function isTooDear({ ask, askNano, listSplit }: HeldBuild, job: Job, dearest: Dearest): boolean {
  if (askNano > (listSplit ? dearest.listSplit : dearest.anySplit)) return true;
  if (listSplit && askNano <= dearest.payable) return false;
  return exceeds(ask, job.promptTokens, job.maxTokens, job.reservedNano);
}

/** The build that an answer was begun with, and must go on with. */
const buildOf = (job: Job): string | undefined => job.segments[0]?.build;

/** Nobody has had it, in this life of the coordinator or another: most jobs are so, and need no closer look. */
const isFresh = ({ attempts, checkpointedTokens }: Job): boolean =>
  attempts === 0 && checkpointedTokens === null;

const anyAsk = { listSplit: Infinity, anySplit: Infinity };

/** Takes the best idle contributor for a job out of all pools. */
export function takeContributor(
  turn: Turn,
  pool: Pool,
  job: Job,
): { contributor: Contributor; build: HeldBuild } | undefined {
  const build = pool.idle.take({
    build: isFresh(job) ? undefined : buildOf(job),
    minSpeed: job.request.minTokensPerSecond ?? 0,
    maxTtftMs: job.request.maxTtftMs ?? Infinity,
    maxAskNano: job.dearest ?? anyAsk,
    accepts: (build) => objectionOfFast(turn, build.holder, build, job) === undefined,
  });
  if (build === undefined) return undefined;
  withdraw(turn, build.holder);
  return { contributor: build.holder, build };
}

/** Takes the job that a contributor just become idle should serve; its models take turns, each in fair order. */
export function takeJob(turn: Turn, contributor: Contributor): { job: Job; build: HeldBuild } | undefined {
  if (turn.state.queued === 0) return undefined;
  const { builds } = contributor;
  for (let i = 0; i < builds.length; i++) {
    const build = builds[(i + turn.state.served) % builds.length] as HeldBuild;
    const { pool } = build;
    if (pool.queue.size === 0) continue;
    const job = pool.queue.take((waiting) => objection(turn, contributor, build, waiting) === undefined);
    if (job === undefined) continue;
    withdraw(turn, contributor);
    return { job, build };
  }
  return undefined;
}

/** Whether every contributor that holds the model was passed over for its price. */
export function tooExpensive(turn: Turn, pool: Pool, job: Job): boolean {
  let seen = 0;
  for (const contributor of pool.holders) {
    for (const build of contributor.builds) {
      if (build.model !== pool.model.id) continue;
      if (objection(turn, contributor, build, job) !== 'price') return false;
      seen += 1;
    }
    if (seen >= SAMPLE) break;
  }
  return seen > 0;
}
