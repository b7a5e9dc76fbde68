/** Calls out when something that should report itself stays silent. Timers are injected, so tests need no waiting. */
export interface Timers {
  now(): number;
  /** Calls back once after `delayMs`; the returned function cancels. */
  after(delayMs: number, call: () => void): () => void;
}

export const realTimers: Timers = {
  now: () => performance.now(),
  after(delayMs, call) {
    const timer = setTimeout(call, delayMs);
    return () => clearTimeout(timer);
  },
};

export class Watchdog {
  readonly #timers: Timers;
  readonly #onSilence: (silentMs: number) => void;
  #cancel: (() => void) | null = null;

  constructor(timers: Timers, onSilence: (silentMs: number) => void) {
    this.#timers = timers;
    this.#onSilence = onSilence;
  }

  /** Something was heard: the next sound must come within `silenceMs`. Infinity waits for ever. */
  feed(silenceMs: number): void {
    this.stop();
    if (silenceMs === Infinity) return;
    this.#cancel = this.#timers.after(silenceMs, () => {
      this.#cancel = null;
      this.#onSilence(silenceMs);
    });
  }

  stop(): void {
    this.#cancel?.();
    this.#cancel = null;
  }
}
