/**
 * The part of wllama 3.8.1 that is used here. Its own declarations import without extensions, which `nodenext` does not
 * resolve, and they leave out the parameters that it passes on to llama.cpp's server.
 */
declare module '@wllama/wllama' {
  export interface WllamaLogger {
    debug(...data: unknown[]): void;
    log(...data: unknown[]): void;
    warn(...data: unknown[]): void;
    error(...data: unknown[]): void;
  }

  export interface CompletionParameters {
    readonly prompt: string;
    readonly stream: true;
    readonly abortSignal: AbortSignal;
    readonly max_tokens: number;
    readonly seed: number;
    readonly temperature: number;
    readonly top_p: number;
    /** 0 switches it off. */
    readonly top_k: number;
    readonly min_p: number;
    readonly presence_penalty: number;
    readonly frequency_penalty: number;
    readonly repeat_penalty: number;
    /** Tokens that penalties look back on; -1 crashes this version. */
    readonly repeat_last_n: number;
    readonly samplers: readonly string[];
    readonly logit_bias: readonly (readonly [id: number, bias: number])[];
    readonly grammar: string;
    readonly n_probs: number;
    readonly verbose: boolean;
    readonly return_tokens: boolean;
  }

  export interface ContextInfo {
    readonly n_vocab: number;
    readonly add_bos_token: boolean;
  }

  export class Wllama {
    constructor(
      paths: { readonly default: string },
      config: { readonly suppressNativeLog: boolean; readonly logger: WllamaLogger },
    );
    loadModel(
      weights: readonly Blob[],
      parameters: {
        readonly n_ctx: number;
        readonly n_threads: number;
        readonly n_parallel: number;
        readonly n_gpu_layers: number;
        readonly n_ubatch: number;
        readonly warmup: boolean;
      },
    ): Promise<void>;
    getLoadedContextInfo(): ContextInfo;
    createCompletion(parameters: CompletionParameters): Promise<AsyncIterable<unknown>>;
    exit(): Promise<void>;
  }
}
