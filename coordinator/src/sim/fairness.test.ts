/** Sharing under backlog, through the whole dispatcher: what the fair queue promises must survive matching, leases and settlement. */
import { expect, test } from 'vitest';
import { World, type Hand } from '../core/test-world.ts';
import { Random } from './random.ts';

interface Account {
  readonly name: string;
  readonly weight: number;
  /** Jobs that it keeps waiting. */
  readonly backlog: number;
  /** The largest answer it asks for. */
  readonly maxTokens: number;
}

/** One is greedy, one asks for much, one is heavy; all have something waiting at all times. */
const accounts: readonly Account[] = [
  { name: 'greedy', weight: 1, backlog: 50, maxTokens: 60 },
  { name: 'modest', weight: 1, backlog: 2, maxTokens: 60 },
  { name: 'verbose', weight: 1, backlog: 5, maxTokens: 500 },
  { name: 'heavy', weight: 4, backlog: 5, maxTokens: 60 },
];
const PROMPT_TOKENS = 5;

test.each([1, 2, 3])(
  'backlogged accounts share by weight within the bound of the queue (seed %i)',
  (seed) => {
    const random = new Random(seed);
    const funds = Object.fromEntries(accounts.map(({ name }) => [name, 10_000_000n]));
    const world = new World({}, funds);
    const costs = new Map<string, { readonly account: Account; readonly cost: number }>();
    const fill = () => {
      for (const account of accounts)
        while ((world.state.flows.get(account.name)?.queued ?? 0) < account.backlog) {
          const maxTokens = random.between(1, account.maxTokens);
          const job = world.submit({
            account: account.name,
            weight: account.weight,
            maxTokens,
            maxWaitMs: 1e9,
          });
          costs.set(job, { account, cost: PROMPT_TOKENS + maxTokens });
        }
    };
    fill();
    const hands = ['ann', 'bob', 'cyd'].map((name) => world.join(name));
    const served = new Map(accounts.map(({ name }) => [name, 0]));
    // Per pair, the extremes of the difference in service by weight: over any stretch it is at most the one minus the other.
    const extremes = new Map<string, { low: number; high: number }>();
    let seen = 0;
    const count = () => {
      for (; seen < world.effects.length; seen++) {
        const effect = world.effects[seen];
        if (effect?.type !== 'send' || effect.frame.type !== 'job-offer') continue;
        const { account, cost } = costs.get(effect.frame.jobId) ?? { account: undefined, cost: 0 };
        if (account === undefined) continue;
        served.set(account.name, (served.get(account.name) ?? 0) + cost / account.weight);
        for (const a of accounts)
          for (const b of accounts) {
            const difference = (served.get(a.name) ?? 0) - (served.get(b.name) ?? 0);
            const key = `${a.name} ${b.name}`;
            const { low, high } = extremes.get(key) ?? { low: 0, high: 0 };
            extremes.set(key, { low: Math.min(low, difference), high: Math.max(high, difference) });
          }
      }
    };
    for (let turn = 0; turn < 600; turn++) {
      count();
      serve(world, random.pick(hands));
      fill();
    }
    count();
    for (const a of accounts)
      for (const b of accounts) {
        const { low, high } = extremes.get(`${a.name} ${b.name}`) ?? { low: 0, high: 0 };
        const largest = ({ weight, maxTokens }: Account) => (PROMPT_TOKENS + maxTokens) / weight;
        expect(high - low, `${a.name} against ${b.name}`).toBeLessThanOrEqual(largest(a) + largest(b));
      }
    expect(Math.min(...served.values())).toBeGreaterThan(1_000);
  },
);

/** Lets a contributor finish the job it holds. */
function serve(world: World, hand: Hand): void {
  const job = world.state.contributors.get(hand.publicKey)?.jobId;
  if (job != null) hand.serve(job, 'a');
}
