/**
 * The shell's side of the clients, modelled: answers leave in order as fast as each client reads, wait for checkpoints that
 * they must not overtake, and those of resumable requests are kept for a client that comes back.
 */
import { limits } from '@tussah/protocol/limits';
import { deliveredBy } from '../core/recovery.ts';
import type { Effect, Resumption } from '../core/events.ts';
import type { JobCheckpoint, JobRequest } from '../core/state.ts';
import { textOf } from './language.ts';
import type { Asking, Chunk, Ending, LiveProcess } from './parts.ts';

type Outgoing =
  | { readonly kind: 'chunk'; readonly chunk: Chunk }
  | { readonly kind: 'barrier'; readonly checkpoint: JobCheckpoint }
  | { readonly kind: 'end'; readonly ending: Ending };

interface Stream {
  readonly jobId: string;
  readonly request: Pick<JobRequest, 'resumable' | 'flow' | 'stream'>;
  /** Everything delivered, for who comes back. */
  readonly chunks: Chunk[];
  ending: Ending | null;
  ask: Asking | null;
  readonly outbox: Outgoing[];
  /** The client reads slowly. */
  paused: boolean;
  /** Checkpoints under way that nothing may overtake. */
  awaited: number;
  /** Raised whenever the client comes or goes. */
  visit: number;
}

export class Streams {
  readonly #process: LiveProcess;
  readonly #streams = new Map<string, Stream>();

  constructor(process: LiveProcess) {
    this.#process = process;
  }

  open(request: JobRequest, ask: Asking): void {
    this.#open(request.id, request, ask);
  }

  #open(jobId: string, request: Stream['request'], ask: Asking): Stream {
    const stream: Stream = {
      jobId,
      request,
      chunks: [],
      ending: null,
      ask: null,
      outbox: [],
      paused: false,
      awaited: 0,
      visit: 0,
    };
    this.#streams.set(jobId, stream);
    this.#connect(stream, ask);
    return stream;
  }

  deliver({ jobId, position, ids, text }: Extract<Effect, { type: 'deliver' }>): void {
    const stream = this.#streams.get(jobId);
    if (stream === undefined) return;
    const chunk = { position, ids, text };
    if (stream.request.resumable !== null) stream.chunks.push(chunk);
    this.#put(stream, { kind: 'chunk', chunk });
  }

  /** Written only when the client has got all that it covers: only that may be charged. */
  checkpoint(checkpoint: JobCheckpoint, awaited: boolean): void {
    const { books } = this.#process.world;
    const stream = this.#streams.get(checkpoint.request.id);
    if (stream === undefined) return;
    if (awaited) this.#put(stream, { kind: 'barrier', checkpoint });
    else if (stream.ask !== null && stream.outbox.length === 0 && stream.awaited === 0)
      books.write({ kind: 'checkpoint', checkpoint }, () => undefined);
  }

  end(jobId: string, ending: Ending): void {
    const stream = this.#streams.get(jobId);
    if (stream === undefined) return;
    stream.ending = ending;
    if (stream.ask === null && !isKept(stream)) this.#streams.delete(jobId);
    this.#put(stream, { kind: 'end', ending });
  }

  /** The client comes back for the rest of an answer. */
  resume(ask: Asking, resumption: Resumption): void {
    const { jobId, ids } = resumption;
    const stream = this.#streams.get(jobId);
    if (stream === undefined) return this.#resumeAfterRestart(ask, resumption);
    const { resumable, flow } = stream.request;
    const known = resumable !== null && flow === resumption.flow;
    if (!known) return ask.refused('job_unknown');
    const all = stream.chunks.flatMap((chunk) => chunk.ids);
    const same = resumable.requestHash === resumption.requestHash && ids.every((id, i) => all[i] === id);
    if (!same || ids.length > all.length) return ask.refused('resume_mismatch');
    stream.ask?.replaced();
    stream.paused = false;
    const barriers = stream.outbox.flatMap((item) => (item.kind === 'barrier' ? [item] : []));
    stream.outbox.length = 0;
    this.#connect(stream, ask);
    for (const chunk of stream.chunks) {
      while (barriers[0] !== undefined && deliveredBy(barriers[0].checkpoint) <= chunk.position)
        this.#put(stream, barriers.shift() as Outgoing);
      const skip = Math.max(0, ids.length - chunk.position);
      if (skip < chunk.ids.length) this.#put(stream, { kind: 'chunk', chunk: tailOf(chunk, skip) });
    }
    for (const barrier of barriers) this.#put(stream, barrier);
    if (stream.ending !== null) this.#put(stream, { kind: 'end', ending: stream.ending });
  }

  #resumeAfterRestart(ask: Asking, resumption: Resumption): void {
    const { jobId, ids } = resumption;
    const { state, world } = this.#process;
    if (!state.jobs.has(jobId)) {
      const receipt = world.books.receipts.get(jobId);
      const own = receipt?.payer === ask.question.accountId && receipt.outcome === 'complete';
      const whole = own && receipt.segments.reduce((sum, { tokens }) => sum + tokens, 0) === ids.length;
      if (!whole || receipt.finishReason === null) return ask.refused('job_unknown');
      const { finishReason, usage } = receipt;
      ask.connect(this.#process, () => undefined);
      return ask.arriveEnd({ kind: 'complete', answer: { finishReason, usage, receipt } });
    }
    const request = {
      resumable: { requestHash: resumption.requestHash },
      flow: resumption.flow,
      stream: true,
    };
    const stream = this.#open(jobId, request, ask);
    // What the client has is what the answer begins with.
    stream.chunks.push({ position: 0, ids, text: '' });
    this.#process.post({ type: 'job-resumed', resumption });
  }

  /** The process is gone: what has left it arrives, the rest does not. */
  die(): void {
    for (const stream of this.#streams.values()) stream.ask?.cut();
    this.#streams.clear();
  }

  #connect(stream: Stream, ask: Asking): void {
    stream.ask = ask;
    const visit = ++stream.visit;
    ask.connect(this.#process, () => {
      if (stream.visit === visit) this.#left(stream);
    });
  }

  #left(stream: Stream): void {
    stream.ask = null;
    stream.visit += 1;
    if (stream.ending !== null && !isKept(stream)) this.#streams.delete(stream.jobId);
    if (stream.ending !== null || !this.#process.alive) return;
    const { visit, jobId } = stream;
    const abandon = () => {
      if (stream.visit === visit) this.#process.post({ type: 'job-abandoned', jobId, code: 'client_gone' });
    };
    if (stream.request.resumable === null) abandon();
    else this.#process.world.agenda.after(limits.clientGraceMs, abandon);
  }

  #put(stream: Stream, outgoing: Outgoing): void {
    // Nobody listens: whoever comes back gets it from what is kept; a barrier waits for that.
    if (stream.ask === null && outgoing.kind !== 'barrier') return;
    stream.outbox.push(outgoing);
    this.#flush(stream);
  }

  #flush(stream: Stream): void {
    while (stream.ask !== null && !stream.paused && stream.awaited === 0 && this.#process.alive) {
      const next = stream.outbox.shift();
      if (next === undefined) return;
      if (next.kind === 'chunk') {
        stream.ask.arrive(next.chunk);
        if (stream.ask.readsSlowly) this.#pause(stream);
      } else if (next.kind === 'end') {
        const { ask } = stream;
        stream.ask = null;
        if (!isKept(stream)) this.#streams.delete(stream.jobId);
        ask.arriveEnd(next.ending);
      } else this.#await(stream, next.checkpoint);
    }
  }

  #pause(stream: Stream): void {
    const { visit } = stream;
    const { agenda, random } = this.#process.world;
    stream.paused = true;
    agenda.after(random.around(300), () => {
      if (stream.visit !== visit) return;
      stream.paused = false;
      this.#flush(stream);
    });
  }

  #await(stream: Stream, checkpoint: JobCheckpoint): void {
    const { books, watch } = this.#process.world;
    if (stream.ending !== null) return;
    stream.awaited += 1;
    books.write({ kind: 'checkpoint', checkpoint }, (durable) => {
      // The answer goes on without it; a crash now costs the client the right to come back.
      if (!durable) watch.unprotected(stream.jobId);
      stream.awaited -= 1;
      this.#flush(stream);
    });
  }
}

/** Whole answers stay for clients that lost their connection before they had all of it. */
const isKept = ({ request, ending }: Stream): boolean =>
  request.resumable !== null && ending?.kind === 'complete';

const tailOf = ({ position, ids, text }: Chunk, skip: number): Chunk => ({
  position: position + skip,
  ids: ids.slice(skip),
  text: skip === 0 ? text : (textOf(ids.slice(skip)) ?? ''),
});
