/**
 * The engine port: what the network needs from a language-model engine, and nothing else. Every adapter passes the same
 * contract suite (contract.ts). Engines sample inside themselves, from one seed for each block of tokens, so that another
 * machine can go on from a block's start; rendering, tokenising, stop strings, UTF-8 and watchdogs are shared above it.
 */
import type { EngineProfile } from '@tussah/protocol/engine-profile';
import type { Failure } from '@tussah/protocol/errors';
import type { Sampling } from '@tussah/protocol/sampling';

/** Files of one build, verified while they are read. Addresses are absolute. */
export interface EngineFile {
  /** `index` lists further weight files beside itself, with sizes and MD5 sums (MLC's tensor-cache.json). */
  readonly role: 'weights' | 'index' | 'tokenizer' | 'config' | 'library';
  readonly url: string;
  readonly bytes: number | null;
  readonly sha256: string | null;
}

export interface EngineBuild {
  readonly id: string;
  readonly files: readonly EngineFile[];
  readonly contextTokens: number;
  /** WebLLM's id of the model, where it is one of its prebuilt list. */
  readonly webllmId: string | null;
}

export interface LoadProgress {
  readonly step: 'download' | 'start';
  readonly loadedBytes: number;
  /** Null while unknown. */
  readonly totalBytes: number | null;
}

export interface GenerateJob {
  /** `text` is what `ids` decode to, control tokens included. */
  readonly prompt: { readonly text: string; readonly ids: readonly number[] };
  /** What was delivered before, by whomever; generation goes on after it and does not repeat it. */
  readonly prefix: { readonly text: string; readonly ids: readonly number[] };
  readonly sampling: Sampling;
  /** Bound of the answer in tokens, the prefix included. */
  readonly maxTokens: number;
  /** Root of the seed schedule: block b of the answer (see seed-blocks.ts) is sampled from `seedAt(seedRoot, b)`. */
  readonly seedRoot: string;
  /** How many alternatives to report beside each token's log probability; null for no log probabilities. */
  readonly topLogprobs: number | null;
}

export interface TokenAlternative {
  readonly id: number;
  readonly logprob: number;
}

/**
 * One sampling step made visible. `ids` has more than one element where the engine shows a character that spans several
 * tokens only when it is whole; `bytes` are theirs, and may end inside a character. `position` is the first id's, counted
 * over the whole answer. The end-of-generation token is not a token event.
 */
export type EngineEvent =
  | {
      readonly type: 'token';
      readonly position: number;
      readonly ids: readonly number[];
      readonly bytes: Uint8Array;
      readonly logprob: number | null;
      readonly top: readonly TokenAlternative[];
    }
  | { readonly type: 'end'; readonly reason: 'eog' | 'length' | 'context' };

/** Codes of `EngineError`; each crosses the worker boundary as data. */
export type EngineErrorCode =
  | 'download_failed'
  | 'file_corrupt'
  | 'storage_full'
  | 'out_of_memory'
  | 'webgpu_unavailable'
  | 'feature_missing'
  | 'device_lost'
  | 'prompt_too_long'
  | 'prefix_diverged'
  | 'engine_busy'
  | 'engine_failed'
  | 'not_loaded'
  | 'aborted';

/** Thrown by ports; `failure` is what travels. */
export class EngineError extends Error {
  readonly failure: Failure<EngineErrorCode>;
  constructor(failure: Failure<EngineErrorCode>, options?: ErrorOptions) {
    super(failure.message, options);
    this.name = 'EngineError';
    this.failure = failure;
  }
}

export interface EnginePort {
  readonly profile: EngineProfile;
  /** Resolves, never rejects, when the engine can't go on: device lost, worker dead. A new port must be made then. */
  readonly lost: Promise<{ readonly reason: string }>;
  /** Downloads, verifies and starts a build; one at a time, an earlier one is unloaded. Throws `EngineError`. */
  load(build: EngineBuild, onProgress: (progress: LoadProgress) => void, signal: AbortSignal): Promise<void>;
  /**
   * Generates one answer; a second call while one runs throws `engine_busy`. Aborting ends the stream with `aborted`;
   * so does leaving the loop early, and the engine is free afterwards. Throws `EngineError`.
   */
  generate(job: GenerateJob, signal: AbortSignal): AsyncIterable<EngineEvent>;
  unload(): Promise<void>;
}
