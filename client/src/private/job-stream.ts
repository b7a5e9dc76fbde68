/** One sealed job, from sending it to the end of its connection, and what that end means. */
import { ok, type Failure, type Result } from '@tussah/protocol/errors';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import { Connection } from '../connection.ts';
import { EventTooLarge, SseParser } from '../sse.ts';
import { isPlaintext, SealedAnswer, type End, type Reading } from './answer.ts';
import type { CoordinatorApi } from './coordinator-api.ts';
import { privateFailure, refusedWith } from './failures.ts';
import { viewOf, type VerifiedNode } from './nodes.ts';
import type { OrderContext, SkipReason } from './order.ts';
import type { PrivateEvent } from './private-events.ts';

/** In milliseconds. */
export interface Patience {
  /** Until a node has taken the job. */
  readonly assignMs: number;
  /** Until the answer begins: the prompt has to be read. */
  readonly firstChunkMs: number;
  /** Between two pieces of it. */
  readonly silenceMs: number;
  /** For the whole job. */
  readonly totalMs: number;
}

export type JobEnd =
  | {
      readonly kind: 'finished';
      readonly end: End;
      readonly node: VerifiedNode;
      readonly receipt: PrivateReceipt;
    }
  /** The node that had taken it is gone, and has signed nothing. */
  | { readonly kind: 'lost'; readonly failure: Failure; readonly node: VerifiedNode }
  /** Nobody has taken it, but others may; not those in `exclude`. */
  | { readonly kind: 'moved'; readonly failure: Failure; readonly exclude: readonly string[] }
  /** `end` where the text is whole all the same. */
  | {
      readonly kind: 'failed';
      readonly failure: Failure;
      readonly end: End | null;
      readonly node: VerifiedNode | null;
      readonly receipt: PrivateReceipt | null;
    };

const PLAIN_BODY_BYTES = 1_048_576;

/** Yields `assigned` and the text. Whether the caller stopped it is for the caller to see. */
export async function* runJob(
  context: OrderContext,
  api: CoordinatorApi,
  patience: Patience,
): AsyncGenerator<PrivateEvent, JobEnd, void> {
  const { job, signal } = context;
  const answer = new SealedAnswer(context);
  const connection = new Connection(signal);
  const watchdog = new Watchdog(connection, patience.totalMs);
  // Until the coordinator says that it is over, it would go on working for nobody.
  let over = false;
  try {
    watchdog.allow(patience.assignMs);
    const body = JSON.stringify(job.request);
    const response = await api.post(connection, '/sealed/chat/completions', body, patience.totalMs);
    if (response === undefined) {
      over = !watchdog.barked;
      return failedWith(answer, privateFailure(watchdog.barked ? 'timed_out' : 'unreachable'));
    }
    if (!response.ok) {
      over = true;
      return refusedBy(context, await api.refusalOf(connection, response));
    }
    const stream = await streamOf(connection, response);
    if (!stream.ok) return failedWith(answer, stream.failure);
    for await (const data of dataOf(connection.chunks(stream.value, patience.totalMs))) {
      if (data === undefined) return failedWith(answer, privateFailure('unreadable_answer'));
      if (data === '[DONE]') break;
      const reading = await answer.read(data);
      if (!reading.ok) return failedWith(answer, reading.failure);
      watchdog.allow(reading.value.kind === 'assigned' ? patience.firstChunkMs : patience.silenceMs);
      if (reading.value.kind === 'given-up') {
        over = true;
        return givenUp(context, answer, reading.value);
      }
      if (reading.value.kind === 'receipt') break;
      yield* eventsOf(reading.value, job.header.jobId);
    }
    const failure = watchdog.barked ? privateFailure('timed_out') : await answer.conclude();
    over = answer.receipt !== undefined;
    const { end, node, receipt } = answer;
    if (failure !== undefined || end === undefined || node === undefined || receipt === undefined)
      return failedWith(answer, failure ?? privateFailure('truncated'));
    return { kind: 'finished', end, node, receipt };
  } finally {
    watchdog.stop();
    connection.close();
    if (!over) void api.cancel(job.header.jobId);
  }
}

/** Ends a connection on which nothing of the answer comes for too long; bytes that say nothing do not count. */
class Watchdog {
  readonly #connection: Connection;
  readonly #endMs: number;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #barked = false;

  constructor(connection: Connection, totalMs: number) {
    this.#connection = connection;
    this.#endMs = performance.now() + totalMs;
  }

  get barked(): boolean {
    return this.#barked;
  }

  allow(ms: number): void {
    clearTimeout(this.#timer);
    const bark = () => {
      this.#barked = true;
      this.#connection.close();
    };
    this.#timer = setTimeout(bark, Math.min(ms, this.#endMs - performance.now()));
  }

  stop(): void {
    clearTimeout(this.#timer);
  }
}

function* eventsOf(reading: Reading, jobId: string): Generator<PrivateEvent, void, void> {
  if (reading.kind === 'assigned') yield { type: 'assigned', jobId, node: viewOf(reading.node) };
  if (reading.kind === 'text' && reading.text !== '') yield { type: 'text-delta', text: reading.text };
}

async function streamOf(
  connection: Connection,
  response: Response,
): Promise<Result<ReadableStream<Uint8Array>>> {
  const type = response.headers.get('content-type') ?? '';
  if (type.startsWith('text/event-stream') && response.body !== null) return ok(response.body);
  const body = await connection.json(response, PLAIN_BODY_BYTES, privateLimits.acceptTimeoutMs);
  return refusedWith(isPlaintext(body) ? 'plaintext_answer' : 'unreadable_answer');
}

/** The data of each event; undefined for one that is too large. */
async function* dataOf(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string | undefined, void, void> {
  const parser = new SseParser();
  for await (const bytes of chunks) {
    let events;
    try {
      events = parser.push(bytes);
    } catch (error) {
      if (!(error instanceof EventTooLarge)) throw error;
      yield undefined;
      return;
    }
    for (const { data } of events) yield data;
  }
}

const failedWith = (answer: SealedAnswer, failure: Failure): JobEnd => ({
  kind: 'failed',
  failure,
  end: answer.end ?? null,
  node: answer.node ?? null,
  receipt: answer.receipt ?? null,
});

const nobody = { end: null, node: null, receipt: null } as const;

/** A refusal before any event. */
function refusedBy({ job }: OrderContext, failure: Failure): JobEnd {
  if (failure.code === 'candidate_unknown') return { kind: 'moved', failure, exclude: [] };
  if (failure.code === 'node_busy') return { kind: 'moved', failure, exclude: job.header.candidates };
  return { kind: 'failed', failure, ...nobody };
}

/** Reasons that lie with the request: other nodes would say the same. The gravest first. */
const final = ['expired', 'too_far_ahead', 'unsupported', 'too_long'] as const;

function givenUp(
  context: OrderContext,
  answer: SealedAnswer,
  { failure, reasons }: Extract<Reading, { kind: 'given-up' }>,
): JobEnd {
  const { node } = answer;
  if (node !== undefined) {
    const gone = failure.code === 'node_lost' || failure.code === 'node_misbehaved';
    return gone && answer.end === undefined ? { kind: 'lost', failure, node } : failedWith(answer, failure);
  }
  const grave = final.find((code) => reasons.includes(code));
  if (grave !== undefined) return { kind: 'failed', failure: privateFailure(grave), ...nobody };
  if (reasons.length < context.job.nodes.length) return refusedBy(context, failure);
  const { candidates } = context.job.header;
  const exclude = candidates.filter((_, i) => reasons[i] === 'busy' || reasons[i] === 'draining');
  return { kind: 'moved', failure: privateFailure(movedCode(reasons)), exclude };
}

function movedCode(reasons: readonly SkipReason[]) {
  if (reasons.includes('busy')) return 'busy';
  if (reasons.includes('draining')) return 'draining';
  return reasons.includes('key_rotated') ? 'key_rotated' : 'nodes_left';
}
