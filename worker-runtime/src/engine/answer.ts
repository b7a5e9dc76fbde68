/**
 * Runs one job on an engine and delivers its answer in deltas: the first token at once, then what gathers in `batchMs`.
 * Fewer, larger frames cost the network less and read no worse than a screen refreshes.
 */
import { hashOfIds } from '@tussah/protocol/bytes';
import type { FinishReason } from '@tussah/protocol/sampling';
import { AnswerAssembler, type AnswerDelta } from './answer-assembler.ts';
import { throwIfAborted } from './engine-failures.ts';
import type { EngineEvent, EnginePort, GenerateJob } from './port.ts';
import type { TokenCodec } from './token-codec.ts';
import { realTimers, type Timers } from './watchdog.ts';

export type { AnswerDelta } from './answer-assembler.ts';

export interface AnswerEnd {
  readonly finishReason: FinishReason;
  /** Tokens delivered here, without the prefix. */
  readonly tokens: number;
  readonly idsHash: string;
}

export type AnswerEvent = ({ readonly type: 'delta' } & AnswerDelta) | ({ readonly type: 'end' } & AnswerEnd);

export interface AnswerOptions {
  readonly port: EnginePort;
  readonly job: GenerateJob;
  readonly codec: TokenCodec;
  readonly stop: readonly string[];
  readonly signal: AbortSignal;
  readonly timers?: Timers;
  readonly batchMs?: number;
}

const BATCH_MS = 25;

/** Throws `EngineError`. Leaving the loop early stops the engine. */
export async function* runAnswer(options: AnswerOptions): AsyncGenerator<AnswerEvent, void, undefined> {
  const { port, job, codec, stop, signal } = options;
  throwIfAborted(signal);
  const batches = new Batches(options.timers ?? realTimers, options.batchMs ?? BATCH_MS);
  const assembler = new AnswerAssembler({
    codec,
    prefix: job.prefix,
    stop,
    logprobs: job.topLogprobs !== null,
  });
  const leaving = new AbortController();
  const events = port.generate(job, AbortSignal.any([signal, leaving.signal]))[Symbol.asyncIterator]();
  const delivered: number[] = [];
  let finishReason: FinishReason | null = null;
  try {
    let next = events.next();
    while (finishReason === null) {
      const event = await batches.race(next, assembler.deliverable);
      if (event !== 'due') {
        finishReason = take(event, assembler);
        if (finishReason === null) next = events.next();
      }
      if (finishReason !== null || batches.due) {
        for (let delta = assembler.take(); delta !== undefined; delta = assembler.take()) {
          delivered.push(...delta.ids);
          batches.sent();
          yield { type: 'delta', ...delta };
        }
      }
    }
  } finally {
    leaving.abort();
    // The engine is free only when its stream has ended; that an aborted one throws is expected.
    await events.return?.().catch(() => {});
  }
  yield { type: 'end', finishReason, tokens: delivered.length, idsHash: hashOfIds(delivered) };
}

/** Feeds one event to the assembler; the answer's finish reason when it was the last. */
function take(result: IteratorResult<EngineEvent>, assembler: AnswerAssembler): FinishReason | null {
  if (result.done === true) throw new Error('the engine ended without an end event');
  const event = result.value;
  if (event.type === 'token') {
    assembler.push(event);
    return assembler.stopped ? 'stop' : null;
  }
  assembler.finish();
  return event.reason === 'eog' ? 'stop' : 'length';
}

class Batches {
  readonly #timers: Timers;
  readonly #batchMs: number;
  #lastMs = -Infinity;

  constructor(timers: Timers, batchMs: number) {
    this.#timers = timers;
    this.#batchMs = batchMs;
  }

  get due(): boolean {
    return this.#timers.now() - this.#lastMs >= this.#batchMs;
  }

  sent(): void {
    this.#lastMs = this.#timers.now();
  }

  /** What `next` brings, or `due` when something waits and its time has come before. */
  async race<T>(next: Promise<T>, waiting: boolean): Promise<T | 'due'> {
    if (!waiting) return next;
    const { promise, resolve } = Promise.withResolvers<'due'>();
    const cancel = this.#timers.after(Math.max(0, this.#lastMs + this.#batchMs - this.#timers.now()), () =>
      resolve('due'),
    );
    try {
      return await Promise.race([next, promise]);
    } finally {
      cancel();
    }
  }
}
