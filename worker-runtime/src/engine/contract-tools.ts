/** What tests of engines share: reading a stream to its end, jobs, and the codes of failures. */
import { defaultSampling, type Sampling } from '@tussah/protocol/sampling';
import { expect } from 'vitest';
import { EngineError, type EngineErrorCode, type EngineEvent, type GenerateJob } from './port.ts';
import { bytesOfIds, type TokenCodec } from './token-codec.ts';
import { incompleteTail, joinBytes, utf8Text } from './utf8-assembler.ts';

export const greedy: Sampling = { ...defaultSampling, temperature: 0 };
export interface Collected {
  readonly events: readonly EngineEvent[];
  readonly ids: readonly number[];
  readonly text: string;
  readonly end: string | undefined;
}

export async function collect(stream: AsyncIterable<EngineEvent>): Promise<Collected> {
  const events: EngineEvent[] = [];
  for await (const event of stream) events.push(event);
  const tokens = events.filter((event) => event.type === 'token');
  const last = events.at(-1);
  return {
    events,
    ids: tokens.flatMap(({ ids }) => ids),
    text: utf8Text(joinBytes(tokens.map(({ bytes }) => bytes))),
    end: last?.type === 'end' ? last.reason : undefined,
  };
}

export const never = (): AbortSignal => new AbortController().signal;

/** The code of the `EngineError` that a promise must fail with. */
export async function codeOf(promise: Promise<unknown>): Promise<EngineErrorCode> {
  const error = await promise.then(
    () => new Error('it succeeded'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof EngineError)) throw error;
  expect(error.failure.message).not.toBe('');
  expect(error.failure.remedy).not.toBe('');
  return error.failure.code;
}

export function jobFor(codec: TokenCodec, prompt: string, change: Partial<GenerateJob> = {}): GenerateJob {
  return {
    prompt: { text: prompt, ids: codec.encode(prompt) },
    prefix: { text: '', ids: [] },
    sampling: greedy,
    maxTokens: 48,
    seedRoot: 'root-1',
    topLogprobs: null,
    ...change,
  };
}

/** Every prefix of an answer that ends with a whole character. */
export function cutsOf({ events }: Collected, codec: TokenCodec): { ids: number[]; text: string }[] {
  const cuts: { ids: number[]; text: string }[] = [];
  const ids: number[] = [];
  for (const event of events) {
    if (event.type !== 'token') continue;
    ids.push(...event.ids);
    const bytes = bytesOfIds(codec, ids);
    if (incompleteTail(bytes) === 0) cuts.push({ ids: [...ids], text: utf8Text(bytes) });
  }
  return cuts;
}
