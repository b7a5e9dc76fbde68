/** One answer of wllama, block after block; why it is made so stands in wllama-adapter.ts. */
import type { Wllama } from '@wllama/wllama';
import { seedAt } from '@tussah/protocol/seeds';
import { engineError, throwIfAborted, toEngineError } from './engine-failures.ts';
import type { EngineEvent, GenerateJob } from './port.ts';
import { wllamaProfile } from './profiles.ts';
import { blockAfter } from './seed-blocks.ts';
import { bytesOfIds, type TokenCodec } from './token-codec.ts';
import { utf8Text } from './utf8-assembler.ts';
import { type CallEvent, callWllama } from './wllama-call.ts';

/** A started engine with its model. */
export interface LoadedWllama {
  readonly engine: Wllama;
  readonly codec: TokenCodec;
  readonly contextTokens: number;
  /** What the engine itself puts before every prompt. */
  readonly ownPrefix: string;
  /** Rejects when the engine's own worker is gone. */
  readonly broken: Promise<never>;
}

/** More than a character's tokens: what a block may take to end with a whole one. */
const SPARE_TOKENS = 16;

type Piece = Extract<CallEvent, { type: 'piece' }>;
type BlockEnd = 'eog' | 'full' | 'limit';

export class WllamaAnswer {
  readonly #loaded: LoadedWllama;
  readonly #job: GenerateJob;
  readonly #signal: AbortSignal;
  readonly #room: number;
  readonly #limit: number;
  readonly #blockTokens: number;
  #block = 0;
  /** Ids of the answer so far, the prefix included. */
  #ids: number[] = [];
  /** Delivered before, and not yet made again. */
  #due: number[] = [];

  constructor(loaded: LoadedWllama, job: GenerateJob, signal: AbortSignal) {
    this.#loaded = loaded;
    this.#job = job;
    this.#signal = signal;
    this.#room = loaded.contextTokens - job.prompt.ids.length;
    this.#limit = Math.min(job.maxTokens, this.#room);
    const { temperature, presencePenalty, frequencyPenalty } = job.sampling;
    const oneCall = temperature === 0 && presencePenalty === 0 && frequencyPenalty === 0;
    this.#blockTokens = oneCall ? Infinity : wllamaProfile.seedBlock;
  }

  async *run(): AsyncGenerator<EngineEvent, void, undefined> {
    if (this.#room <= 0) throw engineError('prompt_too_long');
    this.#goBack();
    let end: BlockEnd = this.#position + this.#due.length >= this.#limit ? 'limit' : 'full';
    while (end === 'full') {
      end = yield* this.#runBlock();
      this.#block += 1;
    }
    if (this.#due.length > 0 && this.#position + this.#due.length < this.#limit)
      throw engineError('prefix_diverged');
    throwIfAborted(this.#signal);
    const full = this.#limit < this.#job.maxTokens ? 'context' : 'length';
    yield { type: 'end', reason: end === 'eog' ? 'eog' : full };
  }

  get #position(): number {
    return this.#ids.length;
  }

  /** To the start of the block that the prefix ends in; what lies behind it has to come again. */
  #goBack(): void {
    const { ids } = this.#job.prefix;
    const { codec } = this.#loaded;
    const start =
      this.#blockTokens === Infinity
        ? { block: 0, position: sameIds(codec.encode(this.#textOf(ids)), ids) ? ids.length : 0 }
        : blockAfter(ids, codec, this.#blockTokens);
    this.#block = start.block;
    this.#ids = ids.slice(0, start.position);
    this.#due = ids.slice(start.position);
  }

  #textOf(ids: readonly number[]): string {
    return utf8Text(bytesOfIds(this.#loaded.codec, ids));
  }

  async *#runBlock(): AsyncGenerator<EngineEvent, BlockEnd, undefined> {
    const first = this.#position;
    const wanted = Math.min(this.#blockTokens, this.#limit - first);
    const last = this.#limit - first <= this.#blockTokens;
    const made: number[] = [];
    let budget = wanted;
    let withProbabilities = this.#job.topLogprobs !== null;
    for (let attempt = 0; attempt < 3; attempt++) {
      let at = 0;
      try {
        for await (const event of this.#call(first, budget, withProbabilities)) {
          if (event.type === 'end') {
            if (event.reason === 'eog') return 'eog';
            if (last) return 'limit';
            break;
          }
          if (first + at + event.ids.length > this.#limit) return 'limit';
          // An attempt after the first makes the same tokens again.
          const again = made.slice(at, at + event.ids.length);
          at += event.ids.length;
          if (again.length === 0) {
            made.push(...event.ids);
            yield* this.#deliver(event);
          } else if (!sameIds(again, event.ids))
            throw engineError('engine_failed', 'The engine is not deterministic.');
          if (at >= wanted) return last ? 'limit' : 'full';
        }
        // The block ended inside a character: the same block again, with room for the rest of it.
        budget = wanted + SPARE_TOKENS;
      } catch (error) {
        // A token of half a character can't be named among the alternatives; the block goes on without them.
        if (!withProbabilities || toEngineError(error).failure.code !== 'engine_failed') throw error;
        withProbabilities = false;
      }
    }
    throw engineError('engine_failed', 'The engine wrote nothing that is text.');
  }

  *#deliver({ ids, bytes, logprob, top }: Piece): Generator<EngineEvent, void, undefined> {
    const position = this.#position;
    const due = this.#due.splice(0, ids.length);
    if (due.length > 0 && !sameIds(due, ids)) throw engineError('prefix_diverged');
    this.#ids.push(...ids);
    if (due.length === 0) yield { type: 'token', position, ids, bytes, logprob, top };
  }

  #call(
    first: number,
    maxTokens: number,
    withProbabilities: boolean,
  ): AsyncGenerator<CallEvent, void, undefined> {
    const { engine, codec, ownPrefix, contextTokens, broken } = this.#loaded;
    const { prompt, sampling, seedRoot, topLogprobs } = this.#job;
    const before = this.#ids.slice(0, first);
    const text = prompt.text + this.#textOf(before);
    return callWllama(engine, codec, {
      prompt: ownPrefix !== '' && text.startsWith(ownPrefix) ? text.slice(ownPrefix.length) : text,
      maxTokens,
      seed: seedAt(seedRoot, this.#block),
      sampling,
      bias: promptBias(this.#job, before),
      penaltyTokens: contextTokens,
      topLogprobs: withProbabilities ? topLogprobs : null,
      signal: this.#signal,
      broken,
    });
  }
}

/** What takes the prompt's part of the penalties back, for the ids that the prompt has. */
function promptBias({ prompt, sampling }: GenerateJob, generated: readonly number[]): Map<number, number> {
  const bias = new Map<number, number>();
  const { presencePenalty, frequencyPenalty } = sampling;
  if (presencePenalty === 0 && frequencyPenalty === 0) return bias;
  for (const id of prompt.ids) bias.set(id, (bias.get(id) ?? 0) + frequencyPenalty);
  const present = new Set(generated);
  for (const [id, sum] of bias) if (!present.has(id)) bias.set(id, sum + presencePenalty);
  return bias;
}

const sameIds = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((id, i) => id === b[i]);
