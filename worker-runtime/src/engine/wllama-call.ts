/**
 * One call of wllama's raw completion, as pieces of text with their token ids.
 *
 * What the engine does, and is worked around here:
 * - A character of several tokens shows as one chunk that names only its last token. The ids before it are derived by our
 *   own tokenizer from the chunk's text.
 * - Any C++ exception is reported as "Invalid typed array length: 1163217991"; the engine stays usable. Bytes that are not
 *   UTF-8 raise one as soon as they are written as JSON. A grammar of whole characters keeps them out of the text; nothing
 *   keeps them out of `n_probs`, which names single tokens: see `withProbabilities`.
 * - A call that is left must be aborted, or its slot stays busy for ever.
 */
import type { CompletionParameters, Wllama } from '@wllama/wllama';
import * as v from 'valibot';
import type { Sampling } from '@tussah/protocol/sampling';
import { engineError, toEngineError } from './engine-failures.ts';
import type { TokenAlternative } from './port.ts';
import { encodeExactly, sameBytes, type TokenCodec } from './token-codec.ts';
import { utf8Bytes } from './utf8-assembler.ts';

export interface CallOptions {
  readonly prompt: string;
  readonly maxTokens: number;
  readonly seed: number;
  readonly sampling: Sampling;
  /** Added to the logits of tokens before anything else. */
  readonly bias: ReadonlyMap<number, number>;
  /** The penalties look at this many tokens; the whole context, so that `bias` can undo what the prompt adds. */
  readonly penaltyTokens: number;
  /** Alternatives to report; null for no probabilities. */
  readonly topLogprobs: number | null;
  readonly signal: AbortSignal;
  /** Rejects when the engine's own worker is gone; then its calls never end. */
  readonly broken: Promise<never>;
}

export type CallEvent =
  | {
      readonly type: 'piece';
      readonly ids: readonly number[];
      readonly bytes: Uint8Array;
      readonly logprob: number | null;
      readonly top: readonly TokenAlternative[];
    }
  | { readonly type: 'end'; readonly reason: 'eog' | 'budget' };

/** Text made of Unicode scalar values only. */
const CHARACTERS = 'root ::= [\\x01-\\uD7FF\\uE000-\\U0010FFFF]*';

const ProbabilitySchema = v.object({ id: v.number(), logprob: v.number() });
const ChunkSchema = v.object({
  choices: v.tuple([
    v.object({
      text: v.string(),
      finish_reason: v.nullish(v.string()),
      logprobs: v.nullish(
        v.object({
          content: v.nullish(
            v.array(v.object({ ...ProbabilitySchema.entries, top_logprobs: v.array(ProbabilitySchema) })),
          ),
        }),
      ),
    }),
  ]),
  __verbose: v.optional(v.object({ tokens: v.optional(v.array(v.number()), []) })),
});

export async function* callWllama(
  engine: Wllama,
  codec: TokenCodec,
  options: CallOptions,
): AsyncGenerator<CallEvent, void, undefined> {
  const leaving = new AbortController();
  const stream = await engine.createCompletion({
    ...parametersOf(options),
    abortSignal: AbortSignal.any([options.signal, leaving.signal]),
  });
  const chunks = stream[Symbol.asyncIterator]();
  let ended = false;
  try {
    for (;;) {
      const step = await Promise.race([chunks.next(), options.broken]);
      if (step.done === true) {
        ended = true;
        throw engineError('engine_failed', 'The engine ended without saying why.');
      }
      const event = eventOf(step.value, codec, options);
      if (event?.type === 'end') {
        // The iterator's own end follows; until then the slot is not free.
        ended = (await chunks.next()).done === true;
        yield event;
        return;
      }
      if (event !== null) yield event;
    }
  } catch (error) {
    ended = true;
    throw options.signal.aborted ? engineError('aborted', undefined, error) : toEngineError(error);
  } finally {
    leaving.abort();
    // Once aborted the engine finishes its step and throws; then it is free.
    while (!ended)
      ended = await chunks.next().then(
        ({ done }) => done === true,
        () => true,
      );
  }
}

function parametersOf(options: CallOptions): Omit<CompletionParameters, 'abortSignal'> {
  const { sampling, topLogprobs } = options;
  return {
    prompt: options.prompt,
    stream: true,
    max_tokens: options.maxTokens,
    seed: options.seed,
    samplers: ['penalties', 'temperature', 'top_p'],
    temperature: sampling.temperature,
    top_p: sampling.topP,
    top_k: 0,
    min_p: 0,
    presence_penalty: sampling.presencePenalty,
    frequency_penalty: sampling.frequencyPenalty,
    repeat_penalty: 1,
    repeat_last_n: options.penaltyTokens,
    logit_bias: [...options.bias],
    grammar: CHARACTERS,
    n_probs: topLogprobs === null ? 0 : Math.max(1, topLogprobs),
    verbose: true,
    return_tokens: true,
  };
}

/** Null for a chunk that shows nothing. */
function eventOf(chunk: unknown, codec: TokenCodec, options: CallOptions): CallEvent | null {
  const parsed = v.safeParse(ChunkSchema, chunk);
  if (!parsed.success) throw engineError('engine_failed', 'The engine answered in an unknown form.');
  const { choices, __verbose } = parsed.output;
  const { text, finish_reason: finish, logprobs } = choices[0];
  if (finish !== null && finish !== undefined)
    return { type: 'end', reason: finish === 'stop' ? 'eog' : 'budget' };
  if (text === '') return null;
  const bytes = utf8Bytes(text);
  const named = __verbose?.tokens ?? [];
  const ids =
    named.length === 1 && sameBytes(codec.bytesOf(named[0] ?? -1), bytes)
      ? named
      : encodeExactly(codec, text);
  if (ids === undefined)
    throw engineError('engine_failed', 'The tokenizer has no tokens for what the engine wrote.');
  const probability = logprobs?.content?.at(-1);
  const top = probability?.top_logprobs.slice(0, options.topLogprobs ?? 0) ?? [];
  return { type: 'piece', ids, bytes, logprob: probability?.logprob ?? null, top };
}
