/**
 * Matching: per model a pool of idle contributors (cheapest, then fastest and most reliable class, then who served longest
 * ago) and a fair queue of jobs. Both look past whoever or whatever does not fit.
 */
import { guestMayUse } from './guests.ts';
import { exceeds } from './bids.ts';
import { kindOf } from './idle-pool.ts';
import type { Contributor, HeldBuild, Job, Pool } from './state.ts';
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
export function offerToPools(contributor: Contributor): void {
  const { builds, record, away } = contributor;
  contributor.offered = true;
  const measured = record.tokensPerSecond;
  const kind = measured === null ? -1 : kindAt(contributor, measured);
  const known = kind >= 0 && kind === contributor.kind;
  contributor.kind = kind;
  if (known && away === 0) return;
  for (const build of builds)
    if (!known || (away & build.bit) !== 0)
      build.pool.idle.offer(build, kind < 0 ? kindAt(contributor, build.claimedTokensPerSecond) : kind);
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
  const { request } = job;
  if (!isFresh(job)) {
    if (job.tried.has(contributor.publicKey)) return 'tried';
    const begun = buildOf(job);
    if (begun !== undefined && begun !== build.build) return 'build';
  }
  if (
    job.dearestNano !== null &&
    (build.askNano > job.dearestNano || exceeds(build.ask, job.promptTokens, job.maxTokens, job.reservedNano))
  )
    return 'price';
  if (request.minTokensPerSecond !== undefined && speedOf(contributor, build) < request.minTokensPerSecond)
    return 'speed';
  if (request.maxTtftMs !== undefined && (contributor.ttftMs ?? 0) > request.maxTtftMs) return 'speed';
  if (!request.guest) return undefined;
  return guestMayUse(turn.state, turn.atMs, contributor, build, job) ? undefined : 'guest';
}

/** The build that an answer was begun with, and must go on with. */
const buildOf = (job: Job): string | undefined => job.segments[0]?.build;

/** Nobody has had it, in this life of the coordinator or another: most jobs are so, and need no closer look. */
const isFresh = ({ attempts, checkpointedTokens }: Job): boolean =>
  attempts === 0 && checkpointedTokens === null;

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
    maxAskNano: job.dearestNano ?? Infinity,
    accepts: (seat) => objection(turn, seat.holder, seat, job) === undefined,
  });
  if (build === undefined) return undefined;
  build.holder.offered = false;
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
    if (job !== undefined) return { job, build };
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
