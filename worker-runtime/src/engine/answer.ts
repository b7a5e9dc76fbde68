/**
 * Runs one job on an engine and delivers its answer in deltas: the first token at once, then what gathers in `batchMs`.
 * Fewer, larger pieces cost everybody on their way less, and read no worse than a screen refreshes. It runs beside the
 * engine, in its worker: so a page has a few messages an answer to pass on, and timers that no hidden tab slows down.
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

export type AnswerEvent =
  | ({ readonly type: 'delta' } & AnswerDelta)
  /** Tokens were made, and are held back: they may begin a stop string, or be parts of a character. */
  | { readonly type: 'working' }
  | ({ readonly type: 'end' } & AnswerEnd);

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
/** An engine whose tokens are all held back says that it works this often. */
const WORKING_MS = 1_000;

/** Throws `EngineError`. Leaving the loop early stops the engine. */
export async function* runAnswer(options: AnswerOptions): AsyncGenerator<AnswerEvent, void, undefined> {
  const { port, job, codec, stop, signal } = options;
  throwIfAborted(signal);
  const batch = new Batch(options.timers ?? realTimers, options.batchMs ?? BATCH_MS);
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
      const event = await (assembler.deliverable ? Promise.race([next, batch.due()]) : next);
      if (event !== 'due') {
        finishReason = take(event, assembler);
        if (finishReason === null) next = events.next();
      }
      // Nobody need wait for an engine to say that its last token was the last.
      const whole = assembler.endPosition >= job.maxTokens;
      if (event === 'due' || whole || finishReason !== null || batch.isDue) {
        for (let delta = assembler.take(); delta !== undefined;) {
          const following = assembler.take();
          delivered.push(...delta.ids);
          batch.sent();
          const end = finishReason === null || following !== undefined ? {} : { finishReason };
          yield { type: 'delta', ...delta, ...end };
          delta = following;
        }
      }
      if (batch.silentMs >= WORKING_MS) {
        batch.sent();
        yield { type: 'working' };
      }
    }
  } finally {
    batch.cancel();
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

/** Says when what has gathered may go: at once after a pause, else `batchMs` after what went before. */
class Batch {
  readonly #timers: Timers;
  readonly #batchMs: number;
  readonly #startMs: number;
  #lastMs = -Infinity;
  #waiting: { readonly due: Promise<'due'>; readonly cancel: () => void } | null = null;

  constructor(timers: Timers, batchMs: number) {
    this.#timers = timers;
    this.#batchMs = batchMs;
    this.#startMs = timers.now();
  }

  get silentMs(): number {
    return this.#timers.now() - Math.max(this.#startMs, this.#lastMs);
  }

  get isDue(): boolean {
    return this.#timers.now() - this.#lastMs >= this.#batchMs;
  }

  /** Resolves when it is. One timer serves all tokens of a batch. */
  due(): Promise<'due'> {
    if (this.#waiting === null) {
      const { promise, resolve } = Promise.withResolvers<'due'>();
      const delayMs = Math.max(0, this.#lastMs + this.#batchMs - this.#timers.now());
      this.#waiting = { due: promise, cancel: this.#timers.after(delayMs, () => resolve('due')) };
    }
    return this.#waiting.due;
  }

  sent(): void {
    this.#lastMs = this.#timers.now();
    this.cancel();
  }

  cancel(): void {
    this.#waiting?.cancel();
    this.#waiting = null;
  }
}
