/** Jobs that were seen, so that none is opened twice. Bounded: when it is full, nothing more can be remembered. */
export class SeenIds {
  readonly #max: number;
  /** Until when each is remembered; in the order of their coming. */
  readonly #untilMs = new Map<string, number>();

  constructor(max = 262_144) {
    this.#max = max;
  }

  get size(): number {
    return this.#untilMs.size;
  }

  has(jobId: string): boolean {
    return this.#untilMs.has(jobId);
  }

  /** False when there is no room, even after those that have passed are forgotten. */
  add(jobId: string, untilMs: number, nowMs: number): boolean {
    if (this.#untilMs.size >= this.#max) this.#forget(nowMs);
    if (this.#untilMs.size >= this.#max) return false;
    this.#untilMs.set(jobId, untilMs);
    return true;
  }

  #forget(nowMs: number): void {
    for (const [jobId, untilMs] of this.#untilMs) if (untilMs < nowMs) this.#untilMs.delete(jobId);
  }
}
