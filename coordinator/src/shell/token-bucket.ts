/** Token buckets: so many a second on average, so many at once. Time comes in. */
export class TokenBucket {
  #tokens: number;
  #atMs: number;
  readonly #perSecond: number;
  readonly #burst: number;

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  /** Takes so many tokens; false when there are not as many. */
  take(nowMs: number, count = 1): boolean {
    const passed = Math.max(0, nowMs - this.#atMs);
    this.#tokens = Math.min(this.#burst, this.#tokens + (passed * this.#perSecond) / 1000);
    this.#atMs = nowMs;
    if (this.#tokens < count) return false;
    this.#tokens -= count;
    return true;
  }

  /** Whether nothing has been taken for so long that a new bucket would be the same. */
  isFull(nowMs: number): boolean {
    return this.#tokens + ((nowMs - this.#atMs) * this.#perSecond) / 1000 >= this.#burst;
  }
}

/** A bucket for each name, of which a bounded number is remembered. */
export class TokenBuckets {
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #most: number;

  constructor(perSecond: number, burst: number, most = 50_000) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#most = most;
  }

  take(name: string, nowMs: number): boolean {
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      if (this.#buckets.size >= this.#most) this.#sweep(nowMs);
      // Still full of busy names: a flood of them; nobody new gets in until it ends.
      if (this.#buckets.size >= this.#most) return false;
      bucket = new TokenBucket(this.#perSecond, this.#burst, nowMs);
      this.#buckets.set(name, bucket);
    }
    return bucket.take(nowMs);
  }

  #sweep(nowMs: number): void {
    for (const [name, bucket] of this.#buckets) if (bucket.isFull(nowMs)) this.#buckets.delete(name);
  }
}
