/**
 * The moment of a verification. All comparisons with time go through it, so that it knows for how long they would come out
 * the same: a remembered verdict holds just that long.
 */
export class Clock {
  readonly nowMs: number;
  #sameFromMs = Number.NEGATIVE_INFINITY;
  #sameUntilMs = Number.POSITIVE_INFINITY;

  constructor(nowMs: number) {
    if (!Number.isSafeInteger(nowMs)) throw new RangeError('the time is not a whole number of milliseconds');
    this.nowMs = nowMs;
  }

  /** Whether now lies within both ends, which belong to it. */
  within(fromMs: number, untilMs: number): boolean {
    this.#split(fromMs);
    this.#split(untilMs + 1);
    return fromMs <= this.nowMs && this.nowMs <= untilMs;
  }

  /** First and last moment at which every comparison so far has the same answer. */
  get sameFromMs(): number {
    return this.#sameFromMs;
  }
  get sameUntilMs(): number {
    return this.#sameUntilMs;
  }

  /** An answer changes at `ms`. */
  #split(ms: number): void {
    if (ms <= this.nowMs) this.#sameFromMs = Math.max(this.#sameFromMs, ms);
    else this.#sameUntilMs = Math.min(this.#sameUntilMs, ms - 1);
  }
}

/** For the record: a moment in ISO 8601, also for dates beyond what that can write. */
export function isoOf(ms: number): string {
  return Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : String(ms);
}
