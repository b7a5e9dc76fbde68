/** WebLLM's engine with the two steps of its generation loop replaced by ours, so that a job begins at any position. */
import {
  type CompletionRequest,
  type GenerationConfig,
  type LLMChatPipeline,
  MLCEngine,
} from '@mlc-ai/web-llm';
import type { Sampling } from '@tussah/protocol/sampling';
import { type Step, type StepRun, Steps } from './webllm-steps.ts';

export interface EngineRun extends StepRun {
  /** Only counted and checked by WebLLM; the ids are what is read. */
  readonly promptText: string;
  readonly sampling: Sampling;
  /** Bound of the whole answer, the prefix included. */
  readonly maxTokens: number;
  readonly signal: AbortSignal;
}

export class TokenEngine extends MLCEngine {
  #run: { readonly steps: Steps; readonly signal: AbortSignal } | null = null;
  #made: Step[] = [];

  /** The steps of one answer, the last included; leaving early frees the engine. */
  async *steps(run: EngineRun): AsyncGenerator<Step, void, undefined> {
    this.#run = { steps: new Steps(run), signal: run.signal };
    this.#made = [];
    const { temperature, topP, presencePenalty, frequencyPenalty } = run.sampling;
    const request: CompletionRequest = {
      prompt: run.promptText,
      stream: true,
      max_tokens: run.maxTokens,
      temperature,
      top_p: Math.max(topP, 1e-5),
      presence_penalty: presencePenalty,
      frequency_penalty: frequencyPenalty,
      ...(run.topLogprobs === null ? {} : { logprobs: true, top_logprobs: Math.max(1, run.topLogprobs) }),
    };
    try {
      // A chunk may stand for several steps: WebLLM shows none that ends inside a character.
      for await (const _chunk of await this.completions.create(request)) yield* this.#made.splice(0);
      yield* this.#made.splice(0);
    } finally {
      this.#run = null;
    }
  }

  override async prefill(...parameters: Parameters<MLCEngine['prefill']>): Promise<void> {
    if (this.#run === null) return super.prefill(...parameters);
    const [, pipeline, , config] = parameters;
    const step = await this.#run.steps.begin(pipeline, config);
    if (step !== null) this.#made.push(step);
  }

  override async decode(pipeline: LLMChatPipeline, config?: GenerationConfig): Promise<void> {
    if (this.#run === null || config === undefined) return super.decode(pipeline, config);
    if (this.#run.signal.aborted) return pipeline.triggerStop();
    this.#made.push(await this.#run.steps.next(pipeline, config));
  }
}
