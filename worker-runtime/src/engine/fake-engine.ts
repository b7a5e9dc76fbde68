/**
 * A deterministic engine without a model, for tests of everything above the port. The answer is a function of the prompt
 * and the seed schedule, position by position, so it can be continued exactly, by this engine or another one like it.
 */
import type { EngineProfile } from '@tussah/protocol/engine-profile';
import { seedAt } from '@tussah/protocol/seeds';
import { engineError, throwIfAborted } from './engine-failures.ts';
import { FAKE_EOG, FAKE_WORDS, fakeCodec } from './fake-codec.ts';
import { OneJob } from './one-job.ts';
import type { Engine } from './engine.ts';
import type { EngineBuild, EngineEvent, GenerateJob, LoadProgress } from './port.ts';
import { fakeProfile } from './profiles.ts';
import { type CodecFiles, encodeExactly, type TokenCodec } from './token-codec.ts';
import { realTimers, type Timers } from './watchdog.ts';

export interface FakeOptions {
  /** 0 is as fast as it goes. */
  readonly tokensPerSecond?: number;
  readonly promptMs?: number;
  /** Tokens of an answer that ends by itself, at most; the answer's own length varies below it. */
  readonly answerTokens?: number;
  /** Answers every prompt with this text, word for word. */
  readonly reply?: string;
  readonly fault?: FakeFault;
}

/** What goes wrong when the token at `position` is due, or at `load`. */
export type FakeFault =
  | { readonly kind: 'fail' | 'hang' | 'lose-device'; readonly position: number }
  | { readonly kind: 'load-fails' | 'load-hangs' };

export interface FakeParts {
  readonly codec?: TokenCodec;
  readonly timers?: Timers;
  /** Fetches and verifies the build's files; the default touches no network. */
  readonly readFiles?: (
    build: EngineBuild,
    onProgress: (progress: LoadProgress) => void,
    signal: AbortSignal,
  ) => Promise<CodecFiles | void>;
}

const emoji = ['🙂', 'é', '日本', 'Привет', '👩‍👩‍👧', 'ß'];

export class FakeEngine implements Engine {
  readonly profile: EngineProfile = fakeProfile;
  readonly #options: FakeOptions;
  readonly #parts: FakeParts;
  readonly #codec: TokenCodec;
  readonly #timers: Timers;
  readonly #jobs = new OneJob();
  readonly #lost = Promise.withResolvers<{ reason: string }>();
  #build: EngineBuild | null = null;

  constructor(options: FakeOptions = {}, parts: FakeParts = {}) {
    this.#options = options;
    this.#parts = parts;
    this.#codec = parts.codec ?? fakeCodec;
    this.#timers = parts.timers ?? realTimers;
  }

  get lost(): Promise<{ readonly reason: string }> {
    return this.#lost.promise;
  }

  get codec(): TokenCodec {
    if (this.#build === null) throw engineError('not_loaded');
    return this.#codec;
  }

  async load(
    build: EngineBuild,
    onProgress: (progress: LoadProgress) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const done = this.#jobs.begin();
    try {
      throwIfAborted(signal);
      this.#build = null;
      if (this.#options.fault?.kind === 'load-fails') throw engineError('download_failed');
      if (this.#options.fault?.kind === 'load-hangs') await this.#hang(signal);
      onProgress({ step: 'download', loadedBytes: 0, totalBytes: null });
      throwIfAborted(signal);
      await this.#parts.readFiles?.(build, onProgress, signal);
      onProgress({ step: 'start', loadedBytes: 1, totalBytes: 1 });
      throwIfAborted(signal);
      this.#build = build;
    } finally {
      done();
    }
  }

  async unload(): Promise<void> {
    this.#build = null;
  }

  async *generate(job: GenerateJob, signal: AbortSignal): AsyncGenerator<EngineEvent, void, undefined> {
    const done = this.#jobs.begin();
    try {
      const build = this.#build;
      if (build === null) throw engineError('not_loaded');
      throwIfAborted(signal);
      if (job.prompt.ids.length >= build.contextTokens) throw engineError('prompt_too_long');
      const room = build.contextTokens - job.prompt.ids.length;
      const limit = Math.min(job.maxTokens, room);
      const answer = this.#answer(job, limit);
      if (job.prefix.ids.some((id, i) => answer.ids[i] !== id)) throw engineError('prefix_diverged');
      await this.#wait(this.#options.promptMs ?? 0, signal);
      for (let position = job.prefix.ids.length; position < answer.ids.length; position++) {
        await this.#fault(position, signal);
        await this.#wait(1000 / (this.#options.tokensPerSecond ?? Infinity), signal);
        const id = answer.ids[position] ?? 0;
        yield {
          type: 'token',
          position,
          ids: [id],
          bytes: this.#codec.bytesOf(id),
          ...logprobsOf(id, job.topLogprobs),
        };
      }
      throwIfAborted(signal);
      yield {
        type: 'end',
        reason: answer.ended ? 'eog' : limit === room && room < job.maxTokens ? 'context' : 'length',
      };
    } finally {
      done();
    }
  }

  /** All ids from the answer's start, at most `limit`; `ended` when it stops by itself. */
  #answer(job: GenerateJob, limit: number): { ids: number[]; ended: boolean } {
    const ids: number[] = [];
    const { reply } = this.#options;
    if (reply !== undefined) {
      ids.push(...(encodeExactly(this.#codec, reply) ?? []));
      return { ids: ids.slice(0, limit), ended: ids.length <= limit };
    }
    const { temperature, topP, presencePenalty, frequencyPenalty } = job.sampling;
    const about = `${job.prompt.ids.join()}|${temperature === 0 ? '' : topP}|${presencePenalty}|${frequencyPenalty}`;
    const most = this.#options.answerTokens ?? 120;
    const length = Math.ceil(most / 2) + (seedAt(about, 0) % Math.max(1, Math.floor(most / 2)));
    while (ids.length <= limit) {
      // A step may add several tokens; its draw depends on where it begins and on nothing that came before.
      const draw = seedAt(about, ids.length) + (temperature === 0 ? 0 : seedAt(job.seedRoot, ids.length));
      if (ids.length >= length) break;
      const word = FAKE_WORDS[draw % FAKE_WORDS.length] ?? 0;
      const wide = draw % 5 === 0 ? encodeExactly(this.#codec, emoji[draw % emoji.length] ?? '') : undefined;
      ids.push(
        ...(wide ?? [this.#codec === fakeCodec ? word : (this.#codec.encode('word ')[draw % 2] ?? word)]),
      );
    }
    return { ids: ids.slice(0, limit), ended: ids.length <= limit };
  }

  async #fault(position: number, signal: AbortSignal): Promise<void> {
    const { fault } = this.#options;
    if (fault === undefined || !('position' in fault) || fault.position !== position) return;
    if (fault.kind === 'fail') throw engineError('engine_failed', 'This engine was told to fail.');
    if (fault.kind === 'lose-device') {
      this.#lost.resolve({ reason: 'This engine was told to lose its device.' });
      throw engineError('device_lost');
    }
    await this.#hang(signal);
  }

  /** Waits for ever; only an abort ends it. */
  #hang(signal: AbortSignal): Promise<never> {
    return new Promise((_, reject) => {
      if (signal.aborted) reject(engineError('aborted'));
      signal.addEventListener('abort', () => reject(engineError('aborted')), { once: true });
    });
  }

  async #wait(ms: number, signal: AbortSignal): Promise<void> {
    throwIfAborted(signal);
    if (ms <= 0) return;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancel = this.#timers.after(ms, resolve);
    const onAbort = () => reject(engineError('aborted'));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      await promise;
    } finally {
      cancel();
      signal.removeEventListener('abort', onAbort);
    }
  }
}

/** Pretended: halves, so that they are plausible and sum to less than one. */
function logprobsOf(id: number, topLogprobs: number | null) {
  if (topLogprobs === null) return { logprob: null, top: [] };
  const top = Array.from({ length: topLogprobs }, (_, i) => ({
    id: i === 0 ? id : (id + i) % FAKE_EOG,
    logprob: Math.log(0.5 ** (i + 1)),
  }));
  return { logprob: Math.log(0.5), top };
}
