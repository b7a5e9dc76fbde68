/**
 * Jobs that were opened, so that none is opened twice. Each is remembered for at least `keepMs`, and for less than twice as
 * long while others come: in two sets, of which the older is dropped as a whole. Bounded: when it is full, nothing more can
 * be remembered.
 */
export class SeenIds {
  readonly #keepMs: number;
  readonly #max: number;
  #young = new Set<string>();
  #old = new Set<string>();
  #turnedMs = 0;

  constructor(keepMs: number, max = 262_144) {
    this.#keepMs = keepMs;
    this.#max = max;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  has(jobId: string): boolean {
    return this.#young.has(jobId) || this.#old.has(jobId);
  }

  /** False when there is no room, even without those whose time has passed. */
  add(jobId: string, nowMs: number): boolean {
    if (nowMs - this.#turnedMs >= this.#keepMs) {
      this.#old = this.#young;
      this.#young = new Set();
      this.#turnedMs = nowMs;
    }
    if (this.size >= this.#max) return false;
    this.#young.add(jobId);
    return true;
  }

  /** It was not opened after all. */
  forget(jobId: string): void {
    this.#young.delete(jobId);
    this.#old.delete(jobId);
  }
}
