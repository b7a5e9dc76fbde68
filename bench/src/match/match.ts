/**
 * CPU of one decision of the matcher among 100,000 contributors of 50 models, against a bare heap a model with lazy deletion
 * in the same run. A decision takes the best idle contributor for a job out of all its models, and gives back one that has
 * ended its job: first to the queues, then to the pools. What runs is the coordinator's own `takeContributor` and `employ`.
 */
import { countGuest } from '@tussah/coordinator/core/guests';
import { employ } from '@tussah/coordinator/core/jobs';
import { takeContributor } from '@tussah/coordinator/core/pools';
import type { Contributor, Job, Pool } from '@tussah/coordinator/core/state';
import { cpuPerCall, median, metric, type Bench } from '../harness.ts';
import {
  jobOf,
  LIST_NANO,
  Market,
  MODELS,
  people,
  type Person,
  randomNumbers,
  requestOf,
  type Demand,
} from './market.ts';

const SIZES = [1_000, 10_000, 100_000] as const;
/** Contributors at work at any time, for each hundred there are. */
const BUSY_PERCENT = 20;
const JOBS = 4_096;
const ROUNDS = 9;
const CALLS = 20_000;
const PLAIN_RATIO = 1.5;
const FILTERED_RATIO = 3;
/** Jobs that wait for each model and that nobody can serve. */
const UNSERVABLE = 8;

const cycle = <Item>(items: readonly Item[]): (() => Item) => {
  let at = 0;
  return () => items[at++ % items.length] as Item;
};

/** Takes one and gives back the one taken longest ago, with so many out at a time. */
function turnover<Item>(out: number, take: () => Item, giveBack: (item: Item) => void): () => void {
  const busy = Array.from({ length: out }, take);
  let at = 0;
  return () => {
    const oldest = busy[at] as Item;
    busy[at] = take();
    giveBack(oldest);
    at = (at + 1) % out;
  };
}

/** The coordinator's own matching; a job that nobody meets is looked for in vain, which is a decision, too. */
function ours(market: Market, jobs: readonly Job[], out: number): () => void {
  const { turn, state } = market;
  const next = cycle(jobs.map((job) => ({ job, pool: state.pools.get(job.request.model) as Pool })));
  const take = (): Contributor | undefined => {
    const { job, pool } = next();
    const contributor = takeContributor(turn, pool, job)?.contributor;
    if (contributor === undefined) return undefined;
    contributor.jobId = job.request.id;
    contributor.lastServed = state.served++;
    return contributor;
  };
  return turnover(out, take, (contributor) => {
    if (contributor === undefined) return;
    contributor.jobId = null;
    // After a real answer its record is another one; the floor, too, reads the record each time.
    contributor.classed = false;
    employ(turn, contributor);
  });
}

function bare(market: Market, from: readonly Person[], models: readonly number[], out: number): () => void {
  const next = cycle(models);
  const heaps = market.bare(from);
  return turnover(
    out,
    () => {
      const taken = heaps.take(next());
      taken.contributor.jobId = 'job';
      taken.contributor.lastServed = market.state.served++;
      return taken;
    },
    (taken) => {
      taken.contributor.jobId = null;
      heaps.offer(taken);
    },
  );
}

/** What picky clients ask for: each job has two or three demands. */
function demands(random: () => number): Demand {
  const model = Math.floor(random() * MODELS);
  return {
    model,
    guest: random() < 0.5,
    ...(random() < 0.7 ? { maxPriceNano: (LIST_NANO * BigInt(60 + Math.floor(random() * 40))) / 100n } : {}),
    ...(random() < 0.7 ? { minTokensPerSecond: 2 + 25 * random() } : {}),
    ...(random() < 0.7 ? { maxTtftMs: Math.round(500 + 2_500 * random()) } : {}),
  };
}

/** A tenth of the owners has earned from guests what an owner may, so that guests pass by all that is theirs. */
function exhaustOwners({ turn, state }: Market): void {
  const caps = state.config.guests;
  if (caps === null) throw new Error('no guests are served');
  const owners = new Set([...state.contributors.values()].map(({ wallet }) => wallet));
  [...owners].forEach((wallet, i) => {
    if (i % 10 === 0)
      countGuest(state, turn.atMs, 'guest:10.0.0.1', [
        { publicKey: 'f'.repeat(64), wallet, chargedNano: caps.perOwnerDailyNano },
      ]);
  });
  state.guests.spentNano = 0n;
  state.guests.byNetwork.clear();
}

/** Fills the queues with jobs of several accounts that demand too much of everybody. */
function fillQueues(market: Market): void {
  for (let model = 0; model < MODELS; model++)
    for (let i = 0; i < UNSERVABLE; i++) {
      const impossible = i % 2 === 0 ? { minTokensPerSecond: 10_000 } : { maxPriceNano: 10n };
      market.post({ type: 'job-submitted', request: requestOf({ model, ...impossible }, 'alice') });
    }
}

function measure(size: number, say: (line: string) => void) {
  const random = randomNumbers(size);
  const from = people(size, random);
  const out = (size * BUSY_PERCENT) / 100;
  const plainJobs: Demand[] = Array.from({ length: JOBS }, () => ({ model: Math.floor(random() * MODELS) }));
  const floor = new Market(from);
  const market = new Market(from);
  const picky = new Market(from);
  const pickyJobs = Array.from({ length: JOBS }, () => jobOf(picky, requestOf(demands(random))));
  exhaustOwners(picky);
  fillQueues(picky);
  const runs = {
    floor: bare(
      floor,
      from,
      plainJobs.map(({ model }) => model),
      out,
    ),
    plain: ours(
      market,
      plainJobs.map((demand) => jobOf(market, requestOf(demand))),
      out,
    ),
    filtered: ours(picky, pickyJobs, out),
  };
  const costs = { floor: [] as number[], plain: [] as number[], filtered: [] as number[] };
  for (let round = 0; round < ROUNDS; round++)
    for (const name of ['floor', 'plain', 'filtered'] as const)
      costs[name].push(cpuPerCall(runs[name], { calls: CALLS, rounds: 1 }));
  const result = { floor: median(costs.floor), plain: median(costs.plain), filtered: median(costs.filtered) };
  say(
    `${size} contributors: bare ${result.floor.toFixed(2)} us, ours ${result.plain.toFixed(2)}, with demands ${result.filtered.toFixed(2)}`,
  );
  return result;
}

/** A whole job through `step`, from the request to its offer, and its cancellation. */
function wholeStep(market: Market): number {
  let model = 0;
  return cpuPerCall(
    () => {
      const request = requestOf({ model: model++ % MODELS });
      market.post({ type: 'job-submitted', request });
      market.post({ type: 'job-abandoned', jobId: request.id, code: 'client_gone' });
    },
    { calls: CALLS },
  );
}

export const match: Bench = {
  summary: 'CPU of one matching decision, against a bare heap a model',
  async run(say) {
    const bySize = SIZES.map((size) => ({ size, ...measure(size, say) }));
    const [small, , large] = bySize as [(typeof bySize)[0], unknown, (typeof bySize)[0]];
    const unit = 'us CPU a decision';
    const logarithms = Math.log(large.size) / Math.log(small.size);
    const growth = (name: 'floor' | 'plain' | 'filtered') => large[name] / small[name];
    // Beyond the logarithm the bare heap itself grows, as contributors no longer fit into caches.
    const bareGrowth = growth('floor');
    const noFaster = (name: 'plain' | 'filtered') =>
      metric(growth(name), 'x', {
        floor: bareGrowth,
        target: 'no faster than log n, or than the bare heap grows by cache misses',
        pass: growth(name) <= Math.max(logarithms, bareGrowth),
      });
    return {
      'no demands': metric(large.plain, unit, {
        floor: large.floor,
        target: `at most ${PLAIN_RATIO} x the bare heap`,
        pass: large.plain <= PLAIN_RATIO * large.floor,
      }),
      'all demands': metric(large.filtered, unit, {
        floor: large.floor,
        target: `at most ${FILTERED_RATIO} x the bare heap`,
        pass: large.filtered <= FILTERED_RATIO * large.floor,
      }),
      ...Object.fromEntries(
        bySize.slice(0, -1).flatMap(({ size, floor, plain, filtered }) => [
          [`no demands, ${size}`, metric(plain, unit, { floor })],
          [`all demands, ${size}`, metric(filtered, unit, { floor })],
        ]),
      ),
      'growth of log n': metric(logarithms, 'x'),
      'growth of the bare heap': metric(bareGrowth, 'x', { floor: logarithms }),
      'growth, no demands': noFaster('plain'),
      'growth, all demands': noFaster('filtered'),
      'a job through step': metric(
        wholeStep(new Market(people(large.size, randomNumbers(1)))),
        'us CPU a job',
      ),
    };
  },
};
