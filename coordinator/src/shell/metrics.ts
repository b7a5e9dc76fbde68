/** What an operator watches, in Prometheus' format at `/metrics`. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Note } from '../core/events.ts';
import { networkOf } from '../core/views.ts';
import type { State } from '../core/state.ts';

export class Metrics {
  readonly registry = new Registry();
  readonly #jobs: Counter<'model' | 'outcome'>;
  readonly #refused: Counter<'code'>;
  readonly #moved: Counter<'reason'>;
  readonly #tokens: Counter<'model'>;
  readonly #charged: Counter;
  readonly #ttft: Histogram<'model'>;
  readonly #duration: Histogram<'model'>;

  constructor(read: {
    state: () => State;
    connections: () => number;
    now: () => number;
    store: { readonly counts: { readonly writes: number; readonly groups: number } };
  }) {
    const registers = [this.registry];
    // The loop's delay is looked at ten times a second; more often would be most of what an idle coordinator does.
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 100 });
    this.#jobs = new Counter({
      name: 'tussah_jobs_total',
      help: 'Jobs that ended.',
      labelNames: ['model', 'outcome'],
      registers,
    });
    this.#refused = new Counter({
      name: 'tussah_jobs_refused_total',
      help: 'Requests refused before they became jobs.',
      labelNames: ['code'],
      registers,
    });
    this.#moved = new Counter({
      name: 'tussah_job_moves_total',
      help: 'Times a job left a contributor before its end.',
      labelNames: ['reason'],
      registers,
    });
    this.#tokens = new Counter({
      name: 'tussah_completion_tokens_total',
      help: 'Completion tokens charged.',
      labelNames: ['model'],
      registers,
    });
    this.#charged = new Counter({
      name: 'tussah_charged_ton_total',
      help: 'TON charged to clients.',
      registers,
    });
    const seconds = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120];
    this.#ttft = new Histogram({
      name: 'tussah_first_token_seconds',
      help: 'From the request to its first token.',
      labelNames: ['model'],
      buckets: seconds,
      registers,
    });
    this.#duration = new Histogram({
      name: 'tussah_job_seconds',
      help: 'From the request to its end.',
      labelNames: ['model'],
      buckets: seconds,
      registers,
    });
    const gauge = (name: string, help: string, value: () => number) =>
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(value());
        },
      });
    gauge('tussah_connections', 'Open sockets of contributors, proven or not.', read.connections);
    gauge('tussah_contributors', 'Contributors with a session.', () => read.state().contributors.size);
    gauge('tussah_jobs_open', 'Jobs queued, running or being settled.', () => read.state().jobs.size);
    gauge('tussah_store_writes', 'Writes made durable since the start.', () => read.store.counts.writes);
    gauge('tussah_store_commits', 'Commits that they shared.', () => read.store.counts.groups);
    gauge('tussah_deadlines', 'Entries in the deadline heap.', () => read.state().deadlines.size);
    gauge(
      'tussah_guest_budget_ton',
      'What guests may still spend today.',
      () => Number(networkOf(read.state(), read.now()).guests.remainingNano) / 1e9,
    );
    const gaugeByModel = (name: string, help: string, pick: 'queued' | 'idle') =>
      new Gauge({
        name,
        help,
        labelNames: ['model'],
        registers,
        collect() {
          for (const model of networkOf(read.state(), read.now()).models)
            this.set({ model: model.id }, model[pick]);
        },
      });
    gaugeByModel('tussah_model_queued', 'Jobs waiting, by model.', 'queued');
    gaugeByModel('tussah_model_idle', 'Contributors free to serve, by model.', 'idle');
  }

  count(note: Note): void {
    if (note.kind === 'job-refused') this.#refused.inc({ code: note.code });
    else if (note.kind === 'job-moved') this.#moved.inc({ reason: note.reason });
    else if (note.kind === 'job-ended') {
      const { model } = note;
      this.#jobs.inc({ model, outcome: note.outcome });
      this.#tokens.inc({ model }, note.tokens);
      this.#charged.inc(Number(note.chargedNano) / 1e9);
      this.#duration.observe({ model }, note.totalMs / 1000);
      if (note.ttftMs !== null) this.#ttft.observe({ model }, note.ttftMs / 1000);
    }
  }
}
