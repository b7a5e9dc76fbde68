/** Metrics that are read off the state when Prometheus asks. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { currentEpochs } from '../core/private/views.ts';
import type { State } from '../core/state.ts';
import { censusOf, type Census } from './census.ts';

export interface Readings {
  readonly state: () => State;
  readonly now: () => number;
  readonly sockets: { readonly size: number; readonly dropped: Readonly<Record<string, number>> };
  readonly nodes: { readonly size: number };
  readonly directory: { readonly size: number };
  readonly store: {
    readonly counts: { readonly writes: number; readonly groups: number; readonly failed: number };
  };
}

const ton = (nano: bigint): number => Number(nano) / 1e9;

export function addGauges(registry: Registry, read: Readings): void {
  const registers = [registry];
  let seen: Census | undefined;
  /** One look at the state serves all gauges of a scrape. */
  const look = (): Census => {
    if (seen !== undefined) return seen;
    setImmediate(() => (seen = undefined));
    return (seen = censusOf(read.state(), read.now()));
  };
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  const gauges = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    values: (census: Census) => Iterable<readonly [Record<Label, string>, number]>,
  ) =>
    new Gauge({
      name,
      help,
      labelNames,
      registers,
      collect() {
        for (const [labels, value] of values(look())) this.set(labels, value);
      },
    });
  const counters = <Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
    values: () => Iterable<readonly [Record<Label, string>, number]>,
  ) =>
    new Counter({
      name,
      help,
      labelNames,
      registers,
      collect() {
        this.reset();
        for (const [labels, value] of values()) this.inc(labels, value);
      },
    });
  const byModel = (name: string, help: string, pick: 'queued' | 'idle' | 'running' | 'tokensPerSecond') =>
    gauges(name, help, ['model'], ({ network }) =>
      network.models.map((model) => [{ model: model.id }, model[pick] ?? 0]),
    );

  gauge('tussah_connections', 'Open sockets of contributors, proven or not.', () => read.sockets.size);
  gauges('tussah_sockets', 'The same by phase.', ['phase'], ({ connections }) =>
    Array.from(connections, ([phase, count]) => [{ phase }, count]),
  );
  counters(
    'tussah_sockets_dropped_total',
    'Sockets of contributors that were refused at the door or cut without a frame.',
    ['reason'],
    () => Object.entries(read.sockets.dropped).map(([reason, count]) => [{ reason }, count]),
  );

  gauge('tussah_contributors', 'Contributors with a session.', () => look().network.contributors);
  gauges('tussah_contributors_by_state', 'The same by what they do.', ['state'], ({ contributors }) =>
    Array.from(contributors, ([state, count]) => [{ state }, count]),
  );
  gauges('tussah_model_contributors', 'Contributors that hold a model.', ['model', 'engine'], ({ holders }) =>
    holders.map(({ model, engine, count }) => [{ model, engine }, count]),
  );
  byModel('tussah_model_idle', 'Contributors free to serve.', 'idle');
  byModel(
    'tussah_model_tokens_per_second',
    'Median speed of its contributors; 0 before the first job.',
    'tokensPerSecond',
  );

  gauge('tussah_jobs_open', 'Jobs that have not ended.', () => read.state().jobs.size);
  gauges('tussah_jobs_by_phase', 'The same by phase.', ['phase'], ({ jobs }) =>
    Array.from(jobs, ([phase, count]) => [{ phase }, count]),
  );
  byModel('tussah_model_queued', 'Jobs waiting.', 'queued');
  byModel('tussah_model_running', 'Jobs that a contributor holds.', 'running');
  gauges(
    'tussah_model_oldest_wait_seconds',
    'How long the oldest of the waiting jobs has waited.',
    ['model'],
    ({ oldestWaitMs }) => Array.from(oldestWaitMs, ([model, ms]) => [{ model }, ms / 1000]),
  );
  gauges('tussah_flows', 'Accounts, and networks of guests, with jobs.', ['jobs'], ({ flows }) => [
    [{ jobs: 'any' }, flows.active],
    [{ jobs: 'queued' }, flows.queued],
  ]);

  gauge('tussah_node_connections', 'Open sockets of nodes, proven or not.', () => read.nodes.size);
  gauge(
    'tussah_nodes',
    'Bundles that clients may choose now.',
    () => currentEpochs(read.state().private).length,
  );
  gauge('tussah_directory_entries', 'Entries of the directory of nodes.', () => read.directory.size);
  gauge('tussah_sealed_jobs_open', 'Sealed jobs that have not ended.', () => read.state().private.jobs.size);

  gauge('tussah_reserved_ton', 'What open jobs may still cost their clients.', () =>
    ton(look().reservedNano),
  );
  gauge('tussah_guest_budget_ton', 'What guests may still spend today.', () =>
    ton(BigInt(look().network.guests.remainingNano)),
  );
  gauge('tussah_ledger_imbalance_ton', 'The sum over all accounts of the ledger, which is zero.', () =>
    ton(look().balanceNano),
  );
  gauge('tussah_draining', '1 while new work is refused.', () => Number(read.state().draining));
  gauge(
    'tussah_deadlines',
    'Times at which the dispatcher will look at something.',
    () => read.state().deadlines.size,
  );

  gauge('tussah_store_writes', 'Writes made durable since the start.', () => read.store.counts.writes);
  gauge('tussah_store_commits', 'Commits that they shared.', () => read.store.counts.groups);
  counters('tussah_store_failures_total', 'Writes that were refused or lost.', [], () => [
    [{}, read.store.counts.failed],
  ]);
}
