/**
 * Keeps one engine with one build loaded: tries a broken download again, and replaces a lost engine once. An engine that is
 * lost again before it has answered a job is given up.
 */
import { fail, type Failure, ok, type Result } from '@tussah/protocol/errors';
import type { AnswerPort } from '../engine/answer-port.ts';
import { EngineError, type LoadProgress } from '../engine/port.ts';
import { type BackOff, backOffMs } from './back-off.ts';
import { measureSpeed } from './measure-speed.ts';
import type { BuildChoice, ContributorPorts } from './ports.ts';

const DOWNLOADS_MAX = 4;
const downloadBackOff: BackOff = { baseMs: 1_000, capMs: 15_000 };
const reloadBackOff: BackOff = { baseMs: 2_000, capMs: 2_000 };
const LOSSES_MAX = 1;
const UNLOAD_MAX_MS = 5_000;

export interface LoadedEngine {
  readonly port: AnswerPort;
  readonly tokensPerSecond: number;
}

export interface KeeperHandlers {
  readonly onProgress: (progress: LoadProgress) => void;
  /** Loaded; the speed is being measured. */
  readonly onMeasuring: () => void;
  readonly onGone: (reason: string) => void;
  readonly onBack: (engine: LoadedEngine) => void;
  readonly onGivenUp: (failure: Failure) => void;
}

type KeeperPorts = Pick<ContributorPorts, 'engineFor' | 'clock'>;

export class EngineKeeper {
  readonly #choice: BuildChoice;
  readonly #ports: KeeperPorts;
  readonly #handlers: KeeperHandlers;
  readonly #ending = new AbortController();
  #port: AnswerPort | undefined;
  #opening: Promise<unknown> = Promise.resolve();
  #losses = 0;

  constructor(choice: BuildChoice, ports: KeeperPorts, handlers: KeeperHandlers) {
    this.#choice = choice;
    this.#ports = ports;
    this.#handlers = handlers;
  }

  /** Undefined while there is none. */
  get port(): AnswerPort | undefined {
    return this.#port;
  }

  open(): Promise<Result<LoadedEngine>> {
    const opening = this.#open();
    this.#opening = opening;
    return opening;
  }

  async #open(): Promise<Result<LoadedEngine>> {
    for (let attempt = 0; ; attempt++) {
      const loaded = await this.#load();
      if (loaded.ok) return loaded;
      const again = loaded.failure.code === 'download_failed' && attempt + 1 < DOWNLOADS_MAX;
      if (!again || !(await this.#pause(downloadBackOff, attempt))) return loaded;
    }
  }

  /** An answered job shows that the engine works. */
  noteSuccess(): void {
    this.#losses = 0;
  }

  /** Throws the engine away and loads a new one. Does nothing while there is none. */
  replace(reason: string): void {
    const port = this.#port;
    if (port === undefined || this.#ending.signal.aborted) return;
    this.#port = undefined;
    this.#handlers.onGone(reason);
    void this.#reload(port, reason);
  }

  async close(): Promise<void> {
    this.#ending.abort();
    const port = this.#port;
    this.#port = undefined;
    await this.#opening;
    if (port !== undefined) await this.#unload(port);
  }

  async #reload(old: AnswerPort, reason: string): Promise<void> {
    await this.#unload(old);
    if (++this.#losses > LOSSES_MAX) return this.#handlers.onGivenUp(lostAgain(reason));
    if (!(await this.#pause(reloadBackOff, 0))) return;
    const loaded = await this.open();
    if (this.#ending.signal.aborted) return;
    if (loaded.ok) this.#handlers.onBack(loaded.value);
    else this.#handlers.onGivenUp(loaded.failure);
  }

  async #load(): Promise<Result<LoadedEngine>> {
    const { signal } = this.#ending;
    let port: AnswerPort | undefined;
    try {
      port = await this.#ports.engineFor(this.#choice);
      await port.load(this.#choice.build, this.#handlers.onProgress, signal);
      this.#handlers.onMeasuring();
      const tokensPerSecond = await measureSpeed(port, this.#ports.clock, signal);
      signal.throwIfAborted();
      this.#watch(port);
      this.#port = port;
      return ok({ port, tokensPerSecond });
    } catch (error) {
      if (port !== undefined) await this.#unload(port);
      return fail(failureOf(error));
    }
  }

  #watch(port: AnswerPort): void {
    void this.#onLost(port);
  }

  async #onLost(port: AnswerPort): Promise<void> {
    const { reason } = await port.lost;
    if (this.#port === port) this.replace(reason);
  }

  /** Waits a bounded time: a lost engine may never answer, and whatever it held went with it. */
  async #unload(port: AnswerPort): Promise<void> {
    const { clock } = this.#ports;
    let cancel = () => {};
    const bound = new Promise<void>((resolve) => {
      cancel = clock.after(UNLOAD_MAX_MS, resolve);
    });
    await Promise.race([port.unload().catch(() => undefined), bound]);
    cancel();
  }

  /** False when the keeper was closed meanwhile. */
  #pause(backOff: BackOff, attempt: number): Promise<boolean> {
    const { clock } = this.#ports;
    const { signal } = this.#ending;
    return new Promise((resolve) => {
      if (signal.aborted) return resolve(false);
      const stop = () => {
        cancel();
        resolve(false);
      };
      const cancel = clock.after(backOffMs(backOff, attempt, clock.random()), () => {
        signal.removeEventListener('abort', stop);
        resolve(true);
      });
      signal.addEventListener('abort', stop, { once: true });
    });
  }
}

/** What may be told about an error: engines' own sentences, and nothing of errors that nobody expected. */
export function failureOf(error: unknown): Failure {
  if (error instanceof EngineError) return error.failure;
  return {
    code: 'engine_failed',
    message: `The engine failed unexpectedly (${error instanceof Error ? error.name : typeof error}).`,
    remedy: 'Reload the page; choose the other engine or a smaller model if it happens again.',
  };
}

const lostAgain = (reason: string): Failure => ({
  code: 'engine_lost',
  message: `The engine was lost twice in a row: ${reason}`,
  remedy: 'Close other programs that use the GPU, or choose a smaller model, then start again.',
});
