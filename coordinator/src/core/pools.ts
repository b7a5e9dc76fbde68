/**
 * Matching: per model a heap of idle contributors (cheapest, then fastest and most reliable class, then who served longest
 * ago) and a fair queue of jobs. Heap entries go stale instead of being removed; a version tells.
 */
import { costOf } from '@tussah/protocol/money';
import { guestMayUse } from './guests.ts';
import type { Contributor, HeldBuild, IdleEntry, Job, Pool } from './state.ts';
import type { Turn } from './turn.ts';

/** Idle contributors looked at for one job before it waits. */
const CANDIDATES = 64;

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
const speedClass = (contributor: Contributor, build: HeldBuild): number =>
  Math.floor(
    Math.log2(Math.max(Math.min(speedOf(contributor, build), ENOUGH) * reliabilityOf(contributor), 1 / 1024)),
  );

/** Enters an idle contributor into the pools of all its models; earlier entries become stale. */
export function offerToPools(turn: Turn, contributor: Contributor): void {
  contributor.version += 1;
  for (const build of contributor.builds.values()) {
    const pool = turn.state.pools.get(build.model);
    pool?.idle.push({
      contributor,
      build,
      version: contributor.version,
      askNano: build.ask.promptNanoPerMillion + build.ask.completionNanoPerMillion,
      speedClass: speedClass(contributor, build),
      lastServed: contributor.lastServed,
    });
  }
}

/** Why a contributor can't have a job; undefined when it can. */
export function objection(
  turn: Turn,
  contributor: Contributor,
  build: HeldBuild,
  job: Job,
): 'tried' | 'build' | 'price' | 'speed' | 'guest' | undefined {
  const { request } = job;
  if (job.tried.has(contributor.publicKey)) return 'tried';
  const begun = job.segments[0];
  if (begun !== undefined && begun.build !== build.build) return 'build';
  if (costOf(build.ask, request.prompt.ids.length, job.maxTokens) > job.reservedNano) return 'price';
  if (request.minTokensPerSecond !== undefined && speedOf(contributor, build) < request.minTokensPerSecond)
    return 'speed';
  if (request.maxTtftMs !== undefined && (contributor.ttftMs ?? 0) > request.maxTtftMs) return 'speed';
  return guestMayUse(turn.state, turn.atMs, contributor, build, job) ? undefined : 'guest';
}

/** Takes the best idle contributor for a job out of its pool. */
export function takeContributor(turn: Turn, pool: Pool, job: Job): IdleEntry | undefined {
  const passed: IdleEntry[] = [];
  let found: IdleEntry | undefined;
  while (found === undefined && passed.length < CANDIDATES) {
    const entry = pool.idle.pop();
    if (entry === undefined) break;
    if (entry.version !== entry.contributor.version || !isIdle(turn, entry.contributor)) continue;
    if (objection(turn, entry.contributor, entry.build, job) === undefined) found = entry;
    else passed.push(entry);
  }
  for (const entry of passed) pool.idle.push(entry);
  return found;
}

/** Takes the job that a contributor just become idle should serve; its models take turns, each in fair order. */
export function takeJob(turn: Turn, contributor: Contributor): { job: Job; build: HeldBuild } | undefined {
  const builds = [...contributor.builds.values()];
  for (let i = 0; i < builds.length; i++) {
    const build = builds[(i + turn.state.served) % builds.length] as HeldBuild;
    const pool = turn.state.pools.get(build.model);
    const job = pool?.queue.take((waiting) => objection(turn, contributor, build, waiting) === undefined);
    if (job !== undefined) return { job, build };
  }
  return undefined;
}

/** Whether every contributor that holds the model was passed over for its price. */
export function tooExpensive(turn: Turn, pool: Pool, job: Job): boolean {
  let seen = 0;
  for (const contributor of pool.holders) {
    for (const build of contributor.builds.values()) {
      if (build.model !== pool.model.id) continue;
      if (objection(turn, contributor, build, job) !== 'price') return false;
      seen += 1;
    }
    if (seen >= CANDIDATES) break;
  }
  return seen > 0;
}
