/**
 * An engine in a worker of its own, seen as an `AnswerPort`. A page stays responsive while it works, and an engine that
 * hangs or dies is ended with its worker: `lost` resolves, and the owner makes a new one.
 */
import { limits } from '@tussah/protocol/limits';
import { type Remote, transfer, wrap } from 'comlink';
import type { AnswerEvent } from './answer.ts';
import type { AnswerJob, AnswerPort, DeliveredEvent } from './answer-port.ts';
import { engineError, fromFailure, throwIfAborted, toEngineError } from './engine-failures.ts';
import { readEvents } from './event-channel.ts';
import type { EngineChoice, InferenceApi } from './inference-api.ts';
import { OneJob } from './one-job.ts';
import type { EngineBuild, EngineError, EngineEvent, GenerateJob, LoadProgress } from './port.ts';
import { fakeProfile, webllmProfile, wllamaProfile } from './profiles.ts';
import { realTimers, type Timers, Watchdog } from './watchdog.ts';

/** Longest silence at each stage, in ms, before the worker counts as hung. */
export interface InferenceTimeouts {
  readonly download: number;
  /** While the engine starts; some give no sign of life then. */
  readonly start: number;
  readonly firstToken: number;
  readonly token: number;
  /** From an abort until the engine is free. */
  readonly leave: number;
}

export const defaultTimeouts: InferenceTimeouts = {
  download: 90_000,
  start: 240_000,
  firstToken: limits.firstTokenSilenceMs,
  token: limits.tokenSilenceMs,
  leave: 20_000,
};

export interface InferenceClientOptions extends EngineChoice {
  readonly timeouts?: Partial<InferenceTimeouts>;
  readonly timers?: Timers;
  /** Makes the worker; the default is ours. */
  readonly spawn?: () => Worker;
}

const profiles = { wllama: wllamaProfile, webllm: webllmProfile, fake: fakeProfile };
const spawnOurs = () =>
  new Worker(new URL('./inference.worker.ts', import.meta.url), { type: 'module', name: 'inference' });

export class InferenceClient implements AnswerPort {
  readonly profile;
  readonly #worker: Worker;
  readonly #api: Remote<InferenceApi>;
  readonly #opened: Promise<void>;
  readonly #timeouts: InferenceTimeouts;
  readonly #timers: Timers;
  readonly #jobs = new OneJob();
  readonly #lost = Promise.withResolvers<{ reason: string }>();
  readonly #dead = Promise.withResolvers<EngineError>();
  #death: EngineError | null = null;

  constructor({ engine, fake, timeouts, timers, spawn }: InferenceClientOptions) {
    this.profile = profiles[engine];
    this.#timeouts = { ...defaultTimeouts, ...timeouts };
    this.#timers = timers ?? realTimers;
    this.#worker = (spawn ?? spawnOurs)();
    this.#worker.addEventListener('error', (event) => this.#die(`The worker failed: ${event.message}`));
    this.#worker.addEventListener('messageerror', () => this.#die('The worker sent something unreadable.'));
    this.#api = wrap<InferenceApi>(this.#worker);
    this.#opened = this.#open(fake === undefined ? { engine } : { engine, fake });
    this.#opened.catch(() => {});
  }

  get lost(): Promise<{ readonly reason: string }> {
    return this.#lost.promise;
  }

  async load(
    build: EngineBuild,
    onProgress: (progress: LoadProgress) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const done = this.#jobs.begin();
    try {
      throwIfAborted(signal);
      await this.#ready();
      let silence = this.#timeouts.download;
      const { near, far } = channel();
      await this.#answered('being asked to load', this.#api.load(build, far));
      for await (const progress of this.#watched<LoadProgress>(near, signal, () => silence)) {
        silence = progress.step === 'start' ? this.#timeouts.start : this.#timeouts.download;
        onProgress(progress);
      }
      throwIfAborted(signal);
    } finally {
      done();
    }
  }

  generate(job: GenerateJob, signal: AbortSignal): AsyncGenerator<EngineEvent, void, undefined> {
    return this.#tokens((far) => this.#api.generate(job, far), signal);
  }

  async *answer(job: AnswerJob, signal: AbortSignal): AsyncGenerator<DeliveredEvent, void, undefined> {
    const events = this.#tokens<AnswerEvent>((far) => this.#api.answer(job, far), signal);
    for await (const event of events) if (event.type !== 'working') yield event;
  }

  async promptOf(text: string): Promise<GenerateJob['prompt']> {
    await this.#ready();
    type Prompt = Awaited<ReturnType<InferenceApi['promptOf']>>;
    const prompt = await this.#answered<Prompt>('reading a prompt', this.#api.promptOf(text));
    if (!prompt.ok) throw fromFailure(prompt.failure);
    return prompt.value;
  }

  async unload(): Promise<void> {
    const done = this.#jobs.begin();
    try {
      if (this.#death !== null) return;
      await this.#ready();
      const failure = await this.#answered('unloading', this.#api.unload());
      if (failure !== null) throw fromFailure(failure);
    } finally {
      done();
    }
  }

  /** Ends the worker at once, whatever it does. */
  close(): void {
    this.#die('The engine was closed.');
  }

  async #open(choice: EngineChoice): Promise<void> {
    const failure = await this.#answered('starting', this.#api.open(choice), this.#timeouts.download);
    if (failure !== null) throw fromFailure(failure);
    void this.#api.lost().then(({ reason }) => this.#lost.resolve({ reason }));
  }

  async #ready(): Promise<void> {
    if (this.#death !== null) throw this.#death;
    await this.#opened;
  }

  /** One job's events: the first may take as long as reading the prompt does. */
  async *#tokens<Event>(
    ask: (far: MessagePort) => Promise<void>,
    signal: AbortSignal,
  ): AsyncGenerator<Event, void, undefined> {
    const done = this.#jobs.begin();
    try {
      throwIfAborted(signal);
      await this.#ready();
      const { near, far } = channel();
      await this.#answered('being asked for an answer', ask(far));
      let silence = this.#timeouts.firstToken;
      for await (const event of this.#watched<Event>(near, signal, () => silence)) {
        silence = this.#timeouts.token;
        yield event;
      }
    } finally {
      done();
    }
  }

  /** Events under a watchdog: it runs while we wait for the worker, not while the reader thinks. */
  async *#watched<Event>(
    port: MessagePort,
    signal: AbortSignal,
    silence: () => number,
  ): AsyncGenerator<Event, void, undefined> {
    const watchdog = this.#watchdog('working');
    const events = readEvents<Event>(port, {
      signal,
      onSound: () => watchdog.stop(),
      onLeaving: () => watchdog.feed(this.#timeouts.leave),
      dead: this.#dead.promise,
    });
    try {
      for (;;) {
        if (!signal.aborted) watchdog.feed(silence());
        const step = await events.next();
        watchdog.stop();
        if (step.done === true) return;
        yield step.value;
      }
    } finally {
      await events.return();
      watchdog.stop();
    }
  }

  #watchdog(doing: string): Watchdog {
    return new Watchdog(this.#timers, (ms) =>
      this.#die(`The engine hung while ${doing}: nothing for ${ms} ms.`),
    );
  }

  #die(reason: string): void {
    if (this.#death !== null) return;
    this.#worker.terminate();
    this.#death = engineError('engine_failed', reason);
    this.#dead.resolve(this.#death);
    this.#lost.resolve({ reason });
  }

  /** The worker's answer to a call, within `silence`; throws when the worker dies first. */
  async #answered<T>(doing: string, answer: Promise<T>, silence = this.#timeouts.leave): Promise<T> {
    const watchdog = this.#watchdog(doing);
    watchdog.feed(silence);
    try {
      const winner = await Promise.race([answer.then((value) => ({ value })), this.#dead.promise]);
      if ('value' in winner) return winner.value;
      throw winner;
    } catch (error) {
      throw toEngineError(error);
    } finally {
      watchdog.stop();
    }
  }
}

function channel(): { near: MessagePort; far: MessagePort } {
  const { port1, port2 } = new MessageChannel();
  return { near: port1, far: transfer(port2, [port2]) };
}
