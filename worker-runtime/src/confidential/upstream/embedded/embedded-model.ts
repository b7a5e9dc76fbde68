/**
 * The bundled model on llama.cpp, on one thread of the CPU. Prompts are rendered and tokenised as for every other engine of
 * the network, so they are the same.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promptRenderer, type PromptMessage } from '@tussah/models/prompt';
import { loadTokenizer, type ChatTokenizer } from '@tussah/models/tokenizer';
import { fail, ok, type Result } from '@tussah/protocol/errors';
import type { FinishReason, Sampling } from '@tussah/protocol/sampling';
import { getLlama, LlamaLogLevel, type LlamaContextSequence, type Token } from 'node-llama-cpp';
import { StopMatcher } from '../../../engine/stop-matcher.ts';
import { Utf8Assembler } from '../../../engine/utf8-assembler.ts';
import { embeddedModelFolder, embeddedModelId, embeddedWeights } from './embedded-facts.ts';

export interface Completion {
  readonly ids: readonly number[];
  readonly maxTokens: number;
  readonly sampling: Sampling;
  readonly stop: readonly string[];
  readonly seed: number | null;
  /** Text that stands before the answer in the prompt as a part of it: a stop string may begin in it. */
  readonly earlier: string;
}

export interface Completed {
  readonly finishReason: FinishReason;
  readonly completionTokens: number;
}

export interface EmbeddedModel {
  readonly id: string;
  readonly contextTokens: number;
  /** Ids of the prompt; with `continuation`, of the answer so far behind it. */
  prompt(messages: readonly PromptMessage[], continuation: string | null): Result<readonly number[]>;
  /** Waits for a free place first. Resolves early, without a meaning, once `signal` is aborted. */
  complete(completion: Completion, onText: (text: string) => void, signal: AbortSignal): Promise<Completed>;
  close(): Promise<void>;
}

const embeddedContextTokens = 1_024;

/** `places` is how many answers are written at once. */
export async function loadEmbeddedModel(places: number): Promise<EmbeddedModel> {
  const tokenizer = await readTokenizer(embeddedModelFolder);
  const renderer = promptRenderer(tokenizer);
  if (!renderer.ok) throw new Error(renderer.failure.message);
  const llama = await getLlama({
    gpu: false,
    build: 'never',
    skipDownload: true,
    maxThreads: 1,
    logLevel: LlamaLogLevel.error,
    // What it says may quote what it reads.
    logger: () => undefined,
  });
  const model = await llama.loadModel({ modelPath: embeddedWeights });
  const context = await model.createContext({
    contextSize: embeddedContextTokens,
    sequences: places,
    threads: 1,
  });
  const free = Array.from({ length: places }, () => context.getSequence());
  const waiting: ((sequence: LlamaContextSequence) => void)[] = [];
  const take = async (): Promise<LlamaContextSequence> =>
    free.pop() ?? (await new Promise<LlamaContextSequence>((resolve) => waiting.push(resolve)));
  const give = (sequence: LlamaContextSequence): void => {
    const next = waiting.shift();
    if (next === undefined) free.push(sequence);
    else next(sequence);
  };
  return {
    id: embeddedModelId,
    contextTokens: embeddedContextTokens,
    prompt(messages, continuation) {
      const rendered = renderer.value.render(messages, embeddedContextTokens);
      if (!rendered.ok) return fail(rendered.failure);
      const more = continuation === null ? [] : tokenizer.encode(tokenizer.sanitiseContent(continuation));
      return ok([...rendered.value.ids, ...more]);
    },
    async complete(completion, onText, signal) {
      const sequence = await take();
      try {
        await sequence.clearHistory();
        return await generate(sequence, tokenizer, completion, onText, signal);
      } finally {
        // Nothing of one answer stays for the next.
        await sequence.clearHistory();
        give(sequence);
      }
    },
    close: () => llama.dispose(),
  };
}

async function generate(
  sequence: LlamaContextSequence,
  tokenizer: ChatTokenizer,
  { ids, maxTokens, sampling, stop, seed, earlier }: Completion,
  onText: (text: string) => void,
  signal: AbortSignal,
): Promise<Completed> {
  const written: Token[] = [];
  const characters = new Utf8Assembler();
  const matcher = new StopMatcher(stop, earlier);
  let text = '';
  let delivered = 0;
  const deliver = (end: number): void => {
    if (end <= delivered) return;
    onText(text.slice(delivered, end));
    delivered = end;
  };
  const { model } = sequence;
  const evaluated = sequence.evaluate([...ids] as Token[], {
    temperature: sampling.temperature,
    topP: sampling.topP,
    topK: 0,
    minP: 0,
    seed: seed ?? crypto.getRandomValues(new Uint32Array(1))[0] ?? 0,
    repeatPenalty: {
      punishTokens: () => written,
      penalty: 1,
      frequencyPenalty: sampling.frequencyPenalty,
      presencePenalty: sampling.presencePenalty,
    },
    yieldEogToken: true,
  });
  let finishReason: FinishReason = 'length';
  for await (const token of evaluated) {
    if (signal.aborted) break;
    if (model.isEogToken(token)) {
      finishReason = 'stop';
      break;
    }
    written.push(token);
    const piece = characters.push(tokenizer.bytesOf(token));
    if (piece !== null) {
      text += piece;
      const { safe, stopAt } = matcher.push(piece);
      deliver(safe);
      if (stopAt !== null) return { finishReason: 'stop', completionTokens: written.length };
    }
    if (written.length >= maxTokens) break;
  }
  deliver(text.length);
  return { finishReason, completionTokens: written.length };
}

async function readTokenizer(folder: string): Promise<ChatTokenizer> {
  const [json, config] = await Promise.all(
    ['tokenizer.json', 'tokenizer_config.json'].map(async (name): Promise<unknown> =>
      JSON.parse(await readFile(join(folder, name), 'utf8')),
    ),
  );
  const loaded = loadTokenizer(json, config);
  if (!loaded.ok) throw new Error(loaded.failure.message);
  return loaded.value;
}
