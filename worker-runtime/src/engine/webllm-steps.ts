/**
 * Sampling steps on WebLLM's pipeline, with a seed of the schedule before each: its sampler is a linear congruential
 * generator on the host that draws once a token, so a seeded step is the same wherever an answer is taken up.
 *
 * `replayGenerationTokens` with the delivered ids decodes them one by one, as they were decoded when they were made; this
 * keeps the cache, the penalties' counts and the bound on tokens exactly as if nothing had been interrupted.
 */
import type { CommittedStep, GenerationConfig, LLMChatPipeline } from '@mlc-ai/web-llm';
import { seedAt } from '@tussah/protocol/seeds';
import type { TokenAlternative } from './port.ts';
import type { TokenCodec } from './token-codec.ts';

/** The part of the pipeline that steps need. */
export type StepPipeline = Omit<LLMChatPipeline, 'triggerStop'>;

export interface StepRun {
  readonly promptIds: readonly number[];
  readonly prefixIds: readonly number[];
  readonly seedRoot: string;
  readonly topLogprobs: number | null;
  readonly codec: TokenCodec;
}

export interface Step {
  readonly id: number;
  /** WebLLM met a token that ends answers; it is `id`. */
  readonly stopped: boolean;
  readonly logprob: number | null;
  readonly top: readonly TokenAlternative[];
}

export class Steps {
  readonly #run: StepRun;
  #position: number;

  constructor(run: StepRun) {
    this.#run = run;
    this.#position = run.prefixIds.length;
  }

  /** Reads the prompt and what was delivered; without a prefix it also samples the first token. */
  async begin(pipeline: StepPipeline, config: GenerationConfig): Promise<Step | null> {
    const { promptIds, prefixIds } = this.#run;
    this.#seed(pipeline);
    const delivered = prefixIds.map((tokenId, i) => ({
      tokenId,
      globalTokenPos: promptIds.length + i,
      textDelta: '',
    }));
    const { committedToken } = await pipeline.replayGenerationTokens([...promptIds], [], delivered, config);
    return committedToken === undefined ? null : this.#step(pipeline, committedToken);
  }

  async next(pipeline: StepPipeline, config: GenerationConfig): Promise<Step> {
    this.#seed(pipeline);
    const sampled = await pipeline.sampleDecodeStep(config);
    return this.#step(pipeline, pipeline.commitSampledStep(sampled, config));
  }

  #seed(pipeline: StepPipeline): void {
    pipeline.setSeed(seedAt(this.#run.seedRoot, this.#position));
  }

  #step(pipeline: StepPipeline, { tokenId, finishReason }: CommittedStep): Step {
    this.#position += 1;
    const { topLogprobs, codec } = this.#run;
    const probability = topLogprobs === null ? undefined : pipeline.getTokenLogprobArray().at(-1);
    return {
      id: tokenId,
      stopped: finishReason === 'stop',
      logprob: probability?.logprob ?? null,
      top: (probability?.top_logprobs ?? []).slice(0, topLogprobs ?? 0).flatMap(({ token, logprob }) => {
        // WebLLM names alternatives by their text only; one of half a character can't be told.
        const ids = codec.encode(token);
        return ids.length === 1 && ids[0] !== undefined ? [{ id: ids[0], logprob }] : [];
      }),
    };
  }
}
