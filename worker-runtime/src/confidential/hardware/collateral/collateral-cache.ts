/**
 * Collateral as it was last fetched. It is fetched anew for every epoch, but not for every connection that is lost soon:
 * vendors bound how often they are asked. When a service does not answer, what is less than a day old serves in its place,
 * and policies decide whether that is fresh enough.
 */
import { ok, type Result } from '@tussah/protocol/errors';
import type { Log } from '../../log.ts';

const FRESH_MS = 300_000;
const STALE_MS = 86_400_000;
const KEPT_MAX = 64;

export class CollateralCache {
  readonly #kept = new Map<string, { readonly value: unknown; readonly atMs: number }>();
  readonly #nowMs: () => number;
  readonly #log: Log;

  constructor(nowMs: () => number, log: Log) {
    this.#nowMs = nowMs;
    this.#log = log;
  }

  async get<Value, Code extends string>(
    key: string,
    fetchIt: () => Promise<Result<Value, Code>>,
  ): Promise<Result<Value, Code>> {
    const kept = this.#kept.get(key);
    const ageMs = this.#nowMs() - (kept?.atMs ?? -Infinity);
    if (kept !== undefined && ageMs < FRESH_MS) return ok(kept.value as Value);
    const fetched = await fetchIt();
    if (fetched.ok) {
      this.#kept.delete(key);
      this.#kept.set(key, { value: fetched.value, atMs: this.#nowMs() });
      const [oldest] = this.#kept.keys();
      if (this.#kept.size > KEPT_MAX && oldest !== undefined) this.#kept.delete(oldest);
      return fetched;
    }
    if (kept === undefined || ageMs > STALE_MS) return fetched;
    const { code, message } = fetched.failure;
    this.#log.warn('collateral-kept', { code, message, ageMs });
    return ok(kept.value as Value);
  }
}
