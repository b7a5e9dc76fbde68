/**
 * The part of WebLLM 0.2.86 that is used here: its own declarations import without extensions, which `nodenext` does not
 * resolve. `LLMChatPipeline`'s methods are declared there and documented nowhere; the version is pinned for them.
 */
declare module '@mlc-ai/web-llm' {
  export interface ChatOptions {
    readonly context_window_size?: number;
    readonly conv_config?: { readonly stop_str?: readonly string[] };
  }

  export interface ModelRecord {
    readonly model: string;
    readonly model_id: string;
    readonly model_lib: string;
    readonly overrides?: ChatOptions;
    readonly required_features?: readonly string[];
  }

  export interface AppConfig {
    readonly model_list: readonly ModelRecord[];
    readonly cacheBackend?: 'cache';
  }

  export const prebuiltAppConfig: AppConfig;

  /** Opaque here: made from the request, handed to the pipeline. */
  export interface GenerationConfig {
    readonly max_tokens?: number | null;
  }

  export interface CompletionRequest extends GenerationConfig {
    readonly prompt: string;
    readonly stream: true;
    readonly temperature: number;
    /** More than 0. */
    readonly top_p: number;
    readonly presence_penalty: number;
    readonly frequency_penalty: number;
    readonly logprobs?: boolean;
    /** 1 to 5; with 0 there are no log probabilities at all. */
    readonly top_logprobs?: number;
  }

  export interface SampledStep {
    readonly tokenId: number;
  }

  export interface CommittedStep {
    readonly tokenId: number;
    readonly finishReason?: string | undefined;
  }

  export interface ReplayedToken {
    readonly tokenId: number;
    readonly globalTokenPos: number;
    readonly textDelta: string;
  }

  export interface TokenLogprob {
    readonly logprob: number;
    readonly top_logprobs: readonly { readonly token: string; readonly logprob: number }[];
  }

  export interface LLMChatPipeline {
    /** An integer in 1..2147483646. */
    setSeed(seed: number): void;
    /**
     * Starts over, reads `prompt`, then decodes `generated` one by one; `prefix` is already in `prompt` and is only remembered. With nothing
     * generated it samples and commits the first token.
     */
    replayGenerationTokens(
      prompt: number[],
      prefix: number[],
      generated: ReplayedToken[],
      config: GenerationConfig,
    ): Promise<{ readonly committedToken?: CommittedStep | undefined }>;
    sampleDecodeStep(config: GenerationConfig): Promise<SampledStep>;
    commitSampledStep(step: SampledStep, config: GenerationConfig): CommittedStep;
    getTokenLogprobArray(): readonly TokenLogprob[];
    triggerStop(): void;
  }

  export class MLCEngine {
    readonly completions: { create(request: CompletionRequest): Promise<AsyncIterable<unknown>> };
    constructor(config: {
      readonly appConfig: AppConfig;
      readonly logLevel: 'SILENT';
      readonly initProgressCallback: (report: { readonly progress: number }) => void;
    });
    reload(modelId: string, options: ChatOptions): Promise<void>;
    unload(): Promise<void>;
    prefill(
      input: unknown,
      pipeline: LLMChatPipeline,
      chatConfig: unknown,
      config: GenerationConfig,
    ): Promise<void>;
    decode(pipeline: LLMChatPipeline, config?: GenerationConfig): Promise<void>;
  }
}
