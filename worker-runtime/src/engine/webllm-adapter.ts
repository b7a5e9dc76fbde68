/**
 * The engine port over WebLLM: kernels compiled by MLC, run by WebGPU.
 *
 * It goes on from exact token ids, with a seed a token. What was delivered is decoded again to go on after it: as slow as
 * making it, and exact on the same device. Its log probabilities come after the temperature.
 */
import { type ModelRecord, prebuiltAppConfig } from '@mlc-ai/web-llm';
import { ModelFiles } from './download.ts';
import { engineError, throwIfAborted, toEngineError } from './engine-failures.ts';
import { type DeviceFault, type DeviceWatch, watchDevices } from './gpu-device.ts';
import { OneJob } from './one-job.ts';
import type { Engine } from './engine.ts';
import type { EngineBuild, EngineError, EngineEvent, GenerateJob, LoadProgress } from './port.ts';
import { webllmProfile } from './profiles.ts';
import { type OpenCodec, openCodec, type TokenCodec } from './token-codec.ts';
import { TokenEngine } from './webllm-engine.ts';
import { readWebllmFiles, type WebllmFiles, withOnlyTheseFiles } from './webllm-files.ts';
import type { Step } from './webllm-steps.ts';

interface Loaded {
  readonly engine: TokenEngine;
  readonly codec: TokenCodec;
  readonly contextTokens: number;
  readonly watch: DeviceWatch;
}

export interface WebllmParts {
  readonly files?: ModelFiles;
  readonly openCodec?: OpenCodec;
  /** `navigator.gpu`, or a stand-in; undefined where there is no WebGPU. */
  readonly gpu?: GPU | undefined;
}

export class WebllmEngine implements Engine {
  readonly profile = webllmProfile;
  readonly #files: ModelFiles;
  readonly #openCodec: OpenCodec;
  readonly #gpu: GPU | undefined;
  readonly #jobs = new OneJob();
  readonly #lost = Promise.withResolvers<{ reason: string }>();
  #loaded: Loaded | null = null;

  constructor(parts: WebllmParts = {}) {
    this.#files = parts.files ?? new ModelFiles();
    this.#openCodec = parts.openCodec ?? openCodec;
    this.#gpu = 'gpu' in parts ? parts.gpu : globalThis.navigator.gpu;
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
      const record = prebuiltAppConfig.model_list.find(({ model_id }) => model_id === build.webllmId);
      await this.#checkAdapter(record?.required_features ?? []);
      const files = await readWebllmFiles(this.#files, build, onProgress, signal);
      const codec = await this.#openCodec({ tokenizer: files.tokenizer, config: files.tokenizerConfig });
      onProgress({ step: 'start', loadedBytes: 0, totalBytes: files.bytes });
      throwIfAborted(signal);
      this.#loaded = await start(build, record, files, codec, onProgress, signal);
      void this.#loaded.watch.fault.then(({ reason }) => this.#lost.resolve({ reason }));
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
      yield* answer(loaded, job, signal);
    } finally {
      done();
    }
  }

  /** Before anything is downloaded. */
  async #checkAdapter(features: readonly string[]): Promise<void> {
    const adapter = await this.#gpu?.requestAdapter({ powerPreference: 'high-performance' });
    if (adapter === undefined || adapter === null) throw engineError('webgpu_unavailable');
    const missing = features.find((feature) => !adapter.features.has(feature));
    if (missing !== undefined) throw engineError('feature_missing', `The GPU adapter lacks ${missing}.`);
  }

  async #exit(): Promise<void> {
    const loaded = this.#loaded;
    this.#loaded = null;
    await loaded?.engine.unload();
  }
}

async function start(
  build: EngineBuild,
  prebuilt: ModelRecord | undefined,
  files: WebllmFiles,
  codec: TokenCodec,
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<Loaded> {
  const record: ModelRecord = {
    model: files.model,
    model_id: build.id,
    model_lib: files.library,
    ...(prebuilt?.overrides === undefined ? {} : { overrides: prebuilt.overrides }),
  };
  let loadedBytes = 0;
  const engine = new TokenEngine({
    appConfig: { model_list: [record], cacheBackend: 'cache' },
    logLevel: 'SILENT',
    initProgressCallback: ({ progress }) => {
      loadedBytes = Math.max(loadedBytes, Math.round(Math.min(1, progress) * files.bytes));
      onProgress({ step: 'start', loadedBytes, totalBytes: files.bytes });
    },
  });
  const watch = watchDevices(GPUAdapter.prototype);
  const onAbort = () => void engine.unload();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    // Stop strings are found above the port; the ids that end an answer stay WebLLM's own affair.
    const options = { context_window_size: build.contextTokens, conv_config: { stop_str: [] } };
    const loading = withOnlyTheseFiles(files.byUrl, () => engine.reload(build.id, options));
    await Promise.race([loading, watch.fault.then((fault) => Promise.reject(faultError(fault)))]);
    throwIfAborted(signal);
    return { engine, codec, contextTokens: build.contextTokens, watch };
  } catch (error) {
    await engine.unload().catch(() => {});
    throwIfAborted(signal);
    throw startError(error);
  } finally {
    watch.stop();
    signal.removeEventListener('abort', onAbort);
  }
}

async function* answer(
  { engine, codec, contextTokens, watch }: Loaded,
  job: GenerateJob,
  signal: AbortSignal,
): AsyncGenerator<EngineEvent, void, undefined> {
  const room = contextTokens - job.prompt.ids.length;
  if (room <= 0) throw engineError('prompt_too_long');
  const limit = Math.min(job.maxTokens, room);
  const full = limit < job.maxTokens ? 'context' : 'length';
  let position = job.prefix.ids.length;
  const steps = engine.steps({
    promptIds: job.prompt.ids,
    promptText: job.prompt.text,
    prefixIds: job.prefix.ids,
    seedRoot: job.seedRoot,
    sampling: job.sampling,
    topLogprobs: job.topLogprobs,
    maxTokens: limit,
    codec,
    signal,
  });
  // A kernel that never ends, or a device that is gone, leaves the step pending for ever.
  const broken = watch.fault.then((fault) => Promise.reject<IteratorResult<Step>>(faultError(fault)));
  broken.catch(() => {});
  let usable = true;
  try {
    while (position < limit) {
      const step = await Promise.race([steps.next(), broken]).catch((error: unknown) => {
        usable = false;
        throw toEngineError(error);
      });
      throwIfAborted(signal);
      if (step.done === true) throw engineError('engine_failed', 'The engine ended without saying why.');
      const { id, stopped, logprob, top } = step.value;
      const bytes = codec.bytesOf(id);
      if (stopped || bytes.length === 0) {
        yield { type: 'end', reason: 'eog' };
        return;
      }
      yield { type: 'token', position, ids: [id], bytes, logprob, top };
      position += 1;
    }
    throwIfAborted(signal);
    yield { type: 'end', reason: full };
  } finally {
    if (usable) await steps.return();
  }
}

const faultError = ({ kind, reason }: DeviceFault): EngineError =>
  engineError(/OutOfMemory/.test(reason) ? 'out_of_memory' : 'device_lost', `${kind}: ${reason}`);

/** WebLLM's errors by their names; the limits it asks of the device it reports in a plain `Error`. */
function startError(thrown: unknown): EngineError {
  if (thrown instanceof Error) {
    if (
      /^(ShaderF16Support|FeatureSupport)Error$/.test(thrown.name) ||
      /exceeds limit|Cannot initialize runtime/.test(thrown.message)
    )
      return engineError('feature_missing', thrown.message.slice(0, 300), thrown);
    if (/^WebGPUNot(Available|Found)Error$/.test(thrown.name) || /compatible GPU/.test(thrown.message))
      return engineError('webgpu_unavailable', undefined, thrown);
  }
  return toEngineError(thrown);
}
