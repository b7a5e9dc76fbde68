/** The dispatcher's state in numbers, for gauges: counted in one pass at each scrape. Labels are bounded by the catalogue. */
import type { Network } from '@tussah/protocol/network';
import type { ConnectionPhase, Contributor, JobPhase, State } from '../core/state.ts';
import { networkOf } from '../core/views.ts';

/** `away`: its connection was lost, and it may still come back to its session. */
export const contributorStates = ['idle', 'busy', 'resting', 'paused', 'draining', 'away'] as const;
export type ContributorState = (typeof contributorStates)[number];
export const connectionPhases: readonly ConnectionPhase[] = ['challenged', 'proving', 'open'];
export const jobPhases: readonly JobPhase[] = [
  'queued',
  'offered',
  'running',
  'checking',
  'settling',
  'interrupted',
];

export interface Census {
  readonly network: Network;
  readonly contributors: ReadonlyMap<ContributorState, number>;
  /** Contributors that hold a model, by model and engine. */
  readonly holders: readonly { readonly model: string; readonly engine: string; readonly count: number }[];
  readonly connections: ReadonlyMap<ConnectionPhase, number>;
  readonly jobs: ReadonlyMap<JobPhase, number>;
  /** Of the job that has waited longest, by model; 0 where none waits. */
  readonly oldestWaitMs: ReadonlyMap<string, number>;
  /** Accounts, and networks of guests, that have jobs at all, and that have jobs waiting. */
  readonly flows: { readonly active: number; readonly queued: number };
  /** Held for open jobs. */
  readonly reservedNano: bigint;
  /** Over all accounts; anything but zero is a bug. */
  readonly balanceNano: bigint;
}

export function censusOf(state: State, atMs: number): Census {
  return {
    network: networkOf(state, atMs),
    contributors: tally(contributorStates, state.contributors.values(), (each) => stateOf(each, atMs)),
    holders: holdersOf(state),
    connections: tally(connectionPhases, state.connections.values(), ({ phase }) => phase),
    jobs: tally(jobPhases, state.jobs.values(), ({ phase }) => phase),
    oldestWaitMs: oldestWaits(state, atMs),
    flows: {
      active: state.flows.size,
      queued: count(state.flows.values(), ({ queued }) => queued > 0),
    },
    reservedNano: sum(state.reserved.values()),
    balanceNano: sum(state.balances.values()),
  };
}

function stateOf(contributor: Contributor, atMs: number): ContributorState {
  if (contributor.connectionId === null) return 'away';
  if (contributor.jobId !== null) return 'busy';
  if (contributor.state !== 'ready') return contributor.state;
  return contributor.restUntilMs > atMs ? 'resting' : 'idle';
}

function holdersOf({ pools }: State): Census['holders'] {
  return [...pools.values()].flatMap(({ model, holders }) =>
    [...new Set(model.builds.values())].map((engine) => ({
      model: model.id,
      engine,
      count: count(holders, ({ builds }) =>
        builds.some((held) => held.model === model.id && held.profile.engine === engine),
      ),
    })),
  );
}

function oldestWaits({ pools, jobs }: State, atMs: number): Map<string, number> {
  const waits = new Map([...pools.keys()].map((model) => [model, 0]));
  for (const { phase, request, submittedAtMs } of jobs.values())
    if (phase === 'queued')
      waits.set(request.model, Math.max(waits.get(request.model) ?? 0, atMs - submittedAtMs));
  return waits;
}

/** How many items have each label; labels that none has count zero. */
function tally<Item, Label>(
  labels: readonly Label[],
  items: Iterable<Item>,
  labelOf: (item: Item) => Label,
): Map<Label, number> {
  const counts = new Map(labels.map((label) => [label, 0]));
  for (const item of items) counts.set(labelOf(item), (counts.get(labelOf(item)) ?? 0) + 1);
  return counts;
}

function count<Item>(items: Iterable<Item>, matches: (item: Item) => boolean): number {
  let found = 0;
  for (const item of items) if (matches(item)) found += 1;
  return found;
}

const sum = (amounts: Iterable<bigint>): bigint => {
  let total = 0n;
  for (const amount of amounts) total += amount;
  return total;
};
