/** What must hold of the core's whole state after any step. */
import { costOf } from '@tussah/protocol/money';
import { guestMayUse } from '../core/guests.ts';
import type { Contributor, HeldBuild, Job, Pool, State } from '../core/state.ts';
import type { Shadow, Surroundings } from './parts.ts';

export function checkState(
  world: Surroundings,
  state: State,
  atMs: number,
  shadows: ReadonlyMap<string, Shadow>,
): void {
  checkMoney(world, state);
  checkJobs(world, state, atMs, shadows);
  checkContributors(world, state);
  checkMemory(world, state);
  checkNobodyWaitsInVain(world, state, atMs);
}

/** Nothing appears or vanishes, nobody is overdrawn, what is held is what open jobs hold, and the books say the same. */
function checkMoney(world: Surroundings, state: State): void {
  let sum = 0n;
  for (const [account, nano] of state.balances) {
    sum += nano;
    if (nano < 0n && !account.startsWith('world:')) world.complain(`${account} is overdrawn: ${nano}`);
  }
  if (sum !== 0n) world.complain(`the balances sum to ${sum}`);
  const held = new Map<string, bigint>();
  for (const { request, reservedNano } of state.jobs.values())
    held.set(request.payer, (held.get(request.payer) ?? 0n) + reservedNano);
  for (const [payer, nano] of held)
    if ((state.reserved.get(payer) ?? 0n) !== nano) world.complain(`a reservation of ${payer} is missing`);
  for (const [payer, nano] of state.reserved) {
    if (held.get(payer) !== nano)
      world.complain(`${payer} has ${nano} reserved, its jobs ${held.get(payer)}`);
    if (nano > (state.balances.get(payer) ?? 0n)) world.complain(`${payer} has more reserved than it owns`);
  }
  if (!world.books.idle) return;
  for (const [account, nano] of world.books.balances)
    if ((state.balances.get(account) ?? 0n) !== nano) world.complain(`${account} differs from the books`);
}

function checkJobs(
  world: Surroundings,
  state: State,
  atMs: number,
  shadows: ReadonlyMap<string, Shadow>,
): void {
  const queued = new Map<string, number>();
  const running = new Map<string, number>();
  const flows = new Map<string, { active: number; queued: number; reservedNano: bigint }>();
  for (const [id, job] of state.jobs) {
    const { phase, lease, request } = job;
    if (phase === 'ended') world.complain(`${id} has ended and is kept`);
    const leased = phase === 'offered' || phase === 'running' || phase === 'checking';
    if (leased !== (lease !== null)) world.complain(`${id} is ${phase}, and its lease is not so`);
    if (lease !== null && state.contributors.get(lease.publicKey)?.jobId !== id && phase !== 'checking')
      world.complain(`${id} is leased to somebody who does not hold it`);
    if (job.ids.length > job.maxTokens) world.complain(`${id} has more tokens than it may`);
    // Each restart allows one more: it was nobody's failure.
    if (job.attempts >= state.config.attempts + world.life)
      world.complain(`${id} was tried ${job.attempts} times`);
    const ids = job.segments.reduce((n, { tokens }) => n + tokens, 0) + (lease?.ids.length ?? 0);
    if (phase !== 'interrupted' && phase !== 'settling' && ids !== job.ids.length)
      world.complain(`${id} has ${job.ids.length} tokens, its segments ${ids}`);
    // Recovered jobs that nobody came back to are measured by their window alone.
    const shadow = shadows.get(id);
    if (shadow === undefined) world.complain(`${id} is unknown outside`);
    if (atMs > shadow.boundMs + world.lateMs)
      world.complain(`${id} should have ended by now; it is ${phase}`);
    if (phase === 'queued') add(queued, request.model);
    if (lease !== null) add(running, request.model);
    const flow = flows.get(request.flow) ?? { active: 0, queued: 0, reservedNano: 0n };
    flow.active += 1;
    flow.queued += phase === 'queued' ? 1 : 0;
    flow.reservedNano += job.reservedNano;
    flows.set(request.flow, flow);
  }
  for (const [model, pool] of state.pools) {
    if (pool.queue.size !== (queued.get(model) ?? 0)) world.complain(`the queue of ${model} is miscounted`);
    if (pool.running !== (running.get(model) ?? 0)) world.complain(`running jobs of ${model} are miscounted`);
  }
  if (state.queued !== [...queued.values()].reduce((sum, n) => sum + n, 0))
    world.complain('the queues are miscounted');
  if (flows.size !== state.flows.size) world.complain('a flow is missing, or left over');
  for (const [name, own] of flows) {
    const flow = state.flows.get(name);
    const same =
      flow?.active === own.active && flow.queued === own.queued && flow.reservedNano === own.reservedNano;
    if (!same) world.complain(`flow ${name} is miscounted`);
  }
}

const add = (map: Map<string, number>, key: string) => map.set(key, (map.get(key) ?? 0) + 1);

/** A contributor has at most one job, which knows of it, and one connection. */
function checkContributors(world: Surroundings, state: State): void {
  for (const [publicKey, contributor] of state.contributors) {
    const { jobId, connectionId, builds, endedJobs } = contributor;
    if (contributor.publicKey !== publicKey) world.complain(`${publicKey} is kept under another name`);
    if (jobId !== null && state.jobs.get(jobId)?.lease?.publicKey !== publicKey)
      world.complain(`${publicKey} holds ${jobId}, which is not leased to it`);
    if (connectionId !== null && state.connections.get(connectionId)?.publicKey !== publicKey)
      world.complain(`${publicKey} is on a connection that is not its own`);
    if (endedJobs.length > 8 || builds.length > 32) world.complain(`${publicKey} has piled something up`);
    for (const { model } of builds)
      if (state.pools.get(model)?.holders.has(contributor) !== true)
        world.complain(`${publicKey} is not among those who hold ${model}`);
  }
  for (const [id, { phase, publicKey }] of state.connections)
    if ((phase === 'open') !== (state.contributors.get(publicKey ?? '')?.connectionId === id))
      world.complain(`connection ${id} is ${phase} with ${publicKey}`);
  for (const { holders } of state.pools.values())
    for (const contributor of holders)
      if (state.contributors.get(contributor.publicKey) !== contributor)
        world.complain('somebody who has left is still said to hold a model');
}

/** The most builds, and the most waiting jobs, that a pool has had. */
const peaks = new WeakMap<Pool, { builds: number; waiting: number }>();

/** Everything that grows is bounded by what is live: connections, contributors, open jobs, accounts. */
function checkMemory(world: Surroundings, state: State): void {
  const { connections, contributors, jobs, deadlines, guests } = state;
  const bound = connections.size + 2 * contributors.size + 2 * jobs.size;
  if (deadlines.size > bound) world.complain(`${deadlines.size} deadlines for ${bound} things at most`);
  for (const pool of state.pools.values()) {
    let builds = 0;
    for (const contributor of pool.holders)
      for (const { model } of contributor.builds) if (model === pool.model.id) builds += 1;
    const peak = peaks.get(pool) ?? { builds: 0, waiting: 0 };
    peaks.set(pool, peak);
    peak.builds = Math.max(peak.builds, builds);
    peak.waiting = Math.max(peak.waiting, pool.queue.size);
    // Stale ones included, of which there are as many as others at most, and 64; and of the builds some came and went between two looks.
    if (pool.idle.size > 2 * peak.builds + 96)
      world.complain(`${pool.idle.size} idle entries for ${peak.builds} builds`);
    // Flows that had more than their share are remembered until the others have had theirs: that takes the longer, the more
    // weights (here up to 4) and the logarithms of costs (here up to 10) differ.
    if (pool.queue.known > 40 * peak.waiting + 8)
      world.complain(`${pool.queue.known} flows are remembered of ${peak.waiting} jobs`);
  }
  const { guestParts } = world.books;
  for (const counted of [guests.byContributor, guests.byOwner, guests.byNetwork])
    if (counted.size > guestParts) world.complain('the counters of guests have outgrown those served');
}

/** Work-conserving: a job does not wait while somebody idle could serve it. Large worlds are looked at in samples. */
function checkNobodyWaitsInVain(world: Surroundings, state: State, atMs: number): void {
  if (state.draining) return;
  for (const pool of state.pools.values()) {
    if (pool.queue.size === 0) continue;
    const waiting = [...state.jobs.values()].filter(
      (job) => job.phase === 'queued' && job.request.model === pool.model.id,
    );
    let looked = 0;
    for (const contributor of pool.holders) {
      const { connectionId, state: status, jobId, restUntilMs } = contributor;
      if (connectionId === null || status !== 'ready' || jobId !== null) continue;
      // Who has rested enough is looked at by the next tick.
      if (restUntilMs > 0 && atMs < restUntilMs + 100) continue;
      if ((looked += waiting.length) > 2_000) break;
      for (const build of contributor.builds)
        for (const job of waiting)
          if (build.model === pool.model.id && couldServe(state, atMs, contributor, build, job))
            world.vain(job.request.id, contributor.publicKey);
    }
  }
}

/** The rules of matching, written down once more. */
function couldServe(state: State, atMs: number, by: Contributor, build: HeldBuild, job: Job): boolean {
  const { request, segments, reservedNano, tried, maxTokens } = job;
  const speed = by.record.tokensPerSecond ?? build.claimedTokensPerSecond;
  return (
    !tried.has(by.publicKey) &&
    (segments.length === 0 || segments[0]?.build === build.build) &&
    costOf(build.ask, job.promptTokens, maxTokens) <= reservedNano &&
    speed >= (request.minTokensPerSecond ?? 0) &&
    (by.ttftMs ?? 0) <= (request.maxTtftMs ?? Infinity) &&
    guestMayUse(state, atMs, by, build, job)
  );
}
