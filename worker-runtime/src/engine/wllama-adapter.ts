/**
 * The engine port over wllama: llama.cpp in WebAssembly, on one thread of the CPU.
 *
 * It goes on from text, which it tokenises again, and its sampler can't be put back to a position; so an answer is made in
 * blocks, each a call of its own with its own seed, from the rendered prompt and the text so far (seed-blocks.ts). Going on
 * after a prefix means to generate its last block again, to require that it equals what was delivered, and to go on.
 * Greedy answers need no seeds: they are one call, and go on from the prefix where our tokenizer reads it as it was made.
 *
 * Penalties count generated tokens only, as the protocol says, while llama.cpp counts the prompt's as well; a bias takes
 * the prompt's part back. One thing remains: a word of the prompt that the answer takes up feels the presence penalty
 * from the next block on, not from the next token.
 */
import { Wllama, type WllamaLogger } from '@wllama/wllama';
import wasmUrl from '@wllama/wllama/esm/wasm/wllama.wasm?url';
import { expectedOf, fileOf, named, readFiles } from './build-files.ts';
import { ModelFiles } from './download.ts';
import { engineError, reasonOf, throwIfAborted, toEngineError } from './engine-failures.ts';
import { OneJob } from './one-job.ts';
import type { Engine } from './engine.ts';
import type { EngineBuild, EngineEvent, GenerateJob, LoadProgress } from './port.ts';
import { wllamaProfile } from './profiles.ts';
import { type OpenCodec, openCodec, type TokenCodec } from './token-codec.ts';
import { type LoadedWllama, WllamaAnswer } from './wllama-answer.ts';

/**
 * Tokens in one step of the engine. From 64 on llama.cpp reads with another kernel, which is faster for long prompts and
 * rounds differently: 0.004 in a log probability. Then a prompt read anew would not give what it gave when part of it
 * was in the cache or written here, and a sampled answer would go on differently elsewhere.
 */
const READ_AT_ONCE = 32;

export interface WllamaParts {
  readonly files?: ModelFiles;
  readonly openCodec?: OpenCodec;
}

export class WllamaEngine implements Engine {
  readonly profile = wllamaProfile;
  readonly #files: ModelFiles;
  readonly #openCodec: OpenCodec;
  readonly #jobs = new OneJob();
  readonly #lost = Promise.withResolvers<{ reason: string }>();
  #loaded: LoadedWllama | null = null;

  constructor(parts: WllamaParts = {}) {
    this.#files = parts.files ?? new ModelFiles();
    this.#openCodec = parts.openCodec ?? openCodec;
  }

  get lost(): Promise<{ readonly reason: string }> {
    return this.#lost.promise;
  }

  get codec(): TokenCodec {
    if (this.#loaded === null) throw engineError('not_loaded');
    return this.#loaded.codec;
  }

  async load(
    build: EngineBuild,
    onProgress: (progress: LoadProgress) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const done = this.#jobs.begin();
    try {
      throwIfAborted(signal);
      await this.#exit();
      refuseOldBrowser();
      const weights = build.files.filter(({ role }) => role === 'weights');
      const tokenizer = fileOf(build, 'tokenizer', named('tokenizer.json'));
      const config = build.files.find(named('tokenizer_config.json'));
      const wanted = [tokenizer, ...(config === undefined ? [] : [config]), ...weights];
      const blobs = await readFiles(this.#files, wanted.map(expectedOf), onProgress, signal);
      const codec = await this.#openCodec({
        tokenizer: blobs[0] ?? new Blob(),
        config: config === undefined ? null : (blobs[1] ?? null),
      });
      throwIfAborted(signal);
      onProgress({ step: 'start', loadedBytes: 0, totalBytes: null });
      throwIfAborted(signal);
      const loaded = await start(blobs.slice(-weights.length), codec, build);
      if (signal.aborted) await loaded.engine.exit();
      throwIfAborted(signal);
      this.#loaded = loaded;
      loaded.broken.catch((error: unknown) => this.#lost.resolve({ reason: reasonOf(error) }));
    } finally {
      done();
    }
  }

  async unload(): Promise<void> {
    const done = this.#jobs.begin();
    try {
      await this.#exit();
    } finally {
      done();
    }
  }

  async *generate(job: GenerateJob, signal: AbortSignal): AsyncGenerator<EngineEvent, void, undefined> {
    const done = this.#jobs.begin();
    try {
      const loaded = this.#loaded;
      if (loaded === null) throw engineError('not_loaded');
      throwIfAborted(signal);
      yield* new WllamaAnswer(loaded, job, signal).run();
    } finally {
      done();
    }
  }

  async #exit(): Promise<void> {
    const engine = this.#loaded?.engine;
    this.#loaded = null;
    await engine?.exit();
  }
}

/** wllama's default build needs both; without them it would hang or fail in ways that tell nobody why. */
function refuseOldBrowser(): void {
  const memory64 = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 5, 3, 1, 4, 1);
  if (!('Suspending' in WebAssembly) || !WebAssembly.validate(memory64))
    throw engineError(
      'feature_missing',
      'This browser lacks 64-bit memory or stack switching for WebAssembly.',
    );
}

async function start(weights: readonly Blob[], codec: TokenCodec, build: EngineBuild): Promise<LoadedWllama> {
  const { logger, broken } = workerErrors();
  const engine = new Wllama(
    { default: new URL(wasmUrl, globalThis.location.href).href },
    { suppressNativeLog: true, logger },
  );
  try {
    const loading = engine.loadModel([...weights], {
      n_ctx: build.contextTokens,
      n_threads: 1,
      n_parallel: 1,
      n_gpu_layers: 0,
      n_ubatch: READ_AT_ONCE,
      warmup: false,
    });
    await Promise.race([loading, broken]);
    const info = engine.getLoadedContextInfo();
    // A file that is no model loads "successfully", with nothing in it.
    if (info.n_vocab === 0)
      throw engineError('engine_failed', 'The engine cannot read the weights, or has no memory for them.');
    const ownPrefix = info.add_bos_token ? (codec.bosToken ?? '') : '';
    return { engine, codec, contextTokens: build.contextTokens, ownPrefix, broken };
  } catch (error) {
    await engine.exit();
    throw toEngineError(error);
  }
}

/**
 * wllama runs in a worker made from a blob. When a policy forbids that, or it dies, wllama tells its logger and waits for
 * ever.
 */
function workerErrors(): { logger: WllamaLogger; broken: Promise<never> } {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => {});
  const logger: WllamaLogger = {
    debug() {},
    log() {},
    warn() {},
    error(what) {
      if (what instanceof Event)
        reject(
          engineError(
            'engine_failed',
            'The worker of wllama could not start, or died. Its script needs worker-src blob:.',
          ),
        );
    },
  };
  return { logger, broken: promise };
}
