/** What an operator watches, in Prometheus' format at `/metrics`. docs/operations.md says what each is for. */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { ErrorCode } from '@tussah/protocol/errors';
import type { Receipt } from '@tussah/protocol/receipts';
import type { Note } from '../core/events.ts';
import { addGauges, type Readings } from './gauges.ts';

/** From a tenth of a millisecond, a commit to memory, to a disk that is failing. */
const commitSeconds = [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3];
const jobSeconds = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120];

export class Metrics {
  readonly registry = new Registry();
  readonly #read: Readings;
  readonly #counters: ReturnType<typeof countersIn>;

  constructor(read: Readings) {
    this.#read = read;
    // The loop's delay is looked at ten times a second; more often would be most of what an idle coordinator does.
    collectDefaultMetrics({ register: this.registry, eventLoopMonitoringPrecision: 100 });
    this.#counters = countersIn(this.registry);
    addGauges(this.registry, read);
  }

  /** A step in the life of a job or a contributor. */
  count(note: Note): void {
    const counters = this.#counters;
    switch (note.kind) {
      case 'job-refused':
        return counters.refused.inc({ code: note.code });
      case 'job-moved':
        return counters.moved.inc({ reason: note.reason });
      case 'job-started':
        return this.#started(note.jobId);
      case 'job-ended':
        return this.#ended(note);
      case 'job-interrupted':
        return counters.interrupted.inc({ resumable: String(note.resumable) });
      case 'job-resumed':
        return counters.resumed.inc({ model: note.model });
      case 'job-suspended':
        return counters.suspended.inc();
      case 'checkpoint-failed':
        return counters.checkpointFailures.inc();
      case 'contributor-joined':
        return counters.sessions.inc({ resumed: String(note.resumed) });
      case 'node-left':
        return counters.departures.inc({ reason: note.reason });
      case 'evidence-refused':
        return counters.evidence.inc({ code: note.code });
      case 'sealed-job-refused':
        return counters.sealedRefused.inc({ code: note.code });
      case 'sealed-job-skipped':
        return counters.sealedSkipped.inc({ code: note.code });
      case 'sealed-job-ended':
        counters.sealedJobs.inc({ outcome: note.outcome });
        counters.sealedTokens.inc(note.tokens);
        counters.charged.inc(Number(note.chargedNano) / 1e9);
        return counters.sealedDuration.observe(note.totalMs / 1000);
      case 'sealed-job-started':
      case 'node-connected':
      case 'node-joined':
      case 'contributor-left':
      case 'model-ready':
      case 'job-queued':
        return;
      default:
        note satisfies never;
    }
  }

  /** A job's receipt is durable. */
  receipt({ model, segments }: Receipt): void {
    if (segments.length < 2) return;
    this.#counters.continued.inc({ model });
    for (const segment of segments.slice(1)) this.#counters.continuedTokens.inc({ model }, segment.tokens);
  }

  /** The coordinator ended a contributor's connection. */
  refusedPeer(code: string): void {
    this.#counters.refusedPeers.inc({ code });
  }

  /** An answer to an HTTP request has left, whole or not. `route` is a pattern of ours. */
  answered(route: string, status: number): void {
    this.#counters.requests.inc({ route, status });
  }

  refusedRequest(code: ErrorCode): void {
    this.#counters.refusedRequests.inc({ code });
  }

  committed(seconds: number): void {
    this.#counters.commit.observe(seconds);
  }

  /** From the start of the process until it listened. */
  listening(seconds: number): void {
    this.#counters.start.set(seconds);
  }

  #started(jobId: string): void {
    const job = this.#read.state().jobs.get(jobId);
    // Waiting for the next contributor of a cut answer is no queueing.
    if (job === undefined || job.attempts > 1) return;
    this.#counters.wait.observe(
      { model: job.request.model },
      Math.max(0, this.#read.now() - job.submittedAtMs) / 1000,
    );
  }

  #ended(note: Extract<Note, { kind: 'job-ended' }>): void {
    const { model } = note;
    const counters = this.#counters;
    counters.jobs.inc({ model, outcome: note.outcome });
    counters.tokens.inc({ model }, note.tokens);
    counters.charged.inc(Number(note.chargedNano) / 1e9);
    counters.duration.observe({ model }, note.totalMs / 1000);
    if (note.ttftMs !== null) counters.ttft.observe({ model }, note.ttftMs / 1000);
  }
}

function countersIn(registry: Registry) {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, ...labelNames: Label[]) =>
    new Counter({ name, help, labelNames, registers });
  const seconds = (name: string, help: string) =>
    new Histogram({ name, help, labelNames: ['model'], buckets: jobSeconds, registers });
  return {
    jobs: counter('tussah_jobs_total', 'Jobs that ended.', 'model', 'outcome'),
    refused: counter('tussah_jobs_refused_total', 'Requests refused before they became jobs.', 'code'),
    tokens: counter('tussah_completion_tokens_total', 'Completion tokens charged.', 'model'),
    charged: counter('tussah_charged_ton_total', 'TON charged to clients.'),
    wait: seconds('tussah_job_wait_seconds', 'From the request until a contributor began with it.'),
    ttft: seconds('tussah_first_token_seconds', 'From the request to its first token.'),
    duration: seconds('tussah_job_seconds', 'From the request to its end.'),
    moved: counter('tussah_job_moves_total', 'Times a job left a contributor before its end.', 'reason'),
    continued: counter('tussah_answers_continued_total', 'Answers by more than one contributor.', 'model'),
    continuedTokens: counter(
      'tussah_continued_tokens_total',
      'Tokens by contributors after the first.',
      'model',
    ),
    interrupted: counter('tussah_jobs_interrupted_total', 'Jobs that a restart had cut.', 'resumable'),
    resumed: counter('tussah_jobs_resumed_total', 'Cut jobs whose clients came back.', 'model'),
    suspended: counter('tussah_jobs_suspended_total', 'Jobs left to the next start.'),
    checkpointFailures: counter('tussah_checkpoint_failures_total', 'Checkpoints that were not written.'),
    sessions: counter('tussah_sessions_total', 'Contributors that were let in.', 'resumed'),
    refusedPeers: counter(
      'tussah_sessions_refused_total',
      'Connections of contributors that the coordinator ended.',
      'code',
    ),
    // Models of nodes are not of the catalogue: they would be labels without a bound.
    sealedJobs: counter('tussah_sealed_jobs_total', 'Sealed jobs that ended.', 'outcome'),
    sealedRefused: counter('tussah_sealed_jobs_refused_total', 'Sealed requests refused.', 'code'),
    sealedSkipped: counter(
      'tussah_sealed_skips_total',
      'Candidates passed by, by what they said or why they left.',
      'code',
    ),
    sealedTokens: counter('tussah_sealed_tokens_total', 'Completion tokens that nodes have counted.'),
    sealedDuration: new Histogram({
      name: 'tussah_sealed_job_seconds',
      help: 'From the sealed request to its end.',
      buckets: jobSeconds,
      registers,
    }),
    evidence: counter('tussah_evidence_refused_total', 'Bundles refused, by the step that failed.', 'code'),
    departures: counter('tussah_node_departures_total', 'Bundles that left the directory.', 'reason'),
    requests: counter('tussah_http_requests_total', 'Requests answered.', 'route', 'status'),
    refusedRequests: counter('tussah_http_refusals_total', 'Requests refused, whatever for.', 'code'),
    commit: new Histogram({
      name: 'tussah_store_commit_seconds',
      help: 'Time for one commit to be durable.',
      buckets: commitSeconds,
      registers,
    }),
    start: new Gauge({
      name: 'tussah_start_seconds',
      help: 'From the start of the process until it listened.',
      registers,
    }),
  };
}
