/** How long to wait between attempts, and when to give up: exponential, spread, and bounded since the outage began. */

export interface BackOff {
  /** Before the first repetition; doubled with each. */
  readonly baseMs: number;
  /** No pause is longer, unless the coordinator asks for it. */
  readonly capMs: number;
  /** An outage longer than this ends the attempts. An attempt under way is not cut. */
  readonly totalMs: number;
}

const EXPONENT_MAX = 16;

/** One outage: it begins with the first failed attempt and ends with whatever comes of a later one. */
export class Outage {
  readonly #sinceMs: number;
  #attempts = 0;

  constructor(nowMs: number) {
    this.#sinceMs = nowMs;
  }

  /**
   * Milliseconds to wait before the next attempt; undefined once it would begin after `totalMs`. The pause is between half
   * of and the whole of the exponential one, by `random` in [0, 1), so that many clients do not come back at once.
   */
  next(backOff: BackOff, nowMs: number, random: number, atLeastMs = 0): number | undefined {
    const whole = Math.min(backOff.capMs, backOff.baseMs * 2 ** Math.min(this.#attempts, EXPONENT_MAX));
    const waitMs = Math.max(atLeastMs, whole * (0.5 + random / 2));
    if (nowMs + waitMs - this.#sinceMs > backOff.totalMs) return undefined;
    this.#attempts += 1;
    return waitMs;
  }
}
