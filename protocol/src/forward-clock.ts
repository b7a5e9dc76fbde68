/**
 * The time that deadlines are compared with: that of the system's clock, but never backwards. When the clock is set back, time
 * goes on as it passes, ahead of the clock: it must not stand still, or no deadline would come.
 */
export class ForwardClock {
  readonly #clock: () => number;
  readonly #elapsed: () => number;
  #lastMs = 0;
  #lastElapsedMs: number;

  /** Both in milliseconds: `clock` since 1970, `elapsed` since anything, and monotonic. */
  constructor(clock: () => number, elapsed: () => number) {
    this.#clock = clock;
    this.#elapsed = elapsed;
    this.#lastElapsedMs = elapsed();
  }

  /** A whole number of milliseconds. */
  now(): number {
    const passedMs = Math.floor(this.#elapsed() - this.#lastElapsedMs);
    this.#lastElapsedMs += passedMs;
    this.#lastMs = Math.max(Math.floor(this.#clock()), this.#lastMs + passedMs);
    return this.#lastMs;
  }
}
