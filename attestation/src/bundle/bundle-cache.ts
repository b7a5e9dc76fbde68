/**
 * Accepted verdicts of whole bundles, each for one policy and one set of expectations, and only for as long as every
 * comparison with time has the same outcome. Rejected ones are made anew.
 */
import { frozen } from '../frozen.ts';
import { limits } from '../limits.ts';
import type { Policy } from '../policy/policy.ts';
import type { Clock } from '../steps/clock.ts';
import type { Verdict } from '../verdict.ts';
import type { Expectations } from './verify-bundle.ts';

interface Kept {
  /** The very object, which is frozen. */
  readonly policy: Policy;
  readonly sameFromMs: number;
  readonly sameUntilMs: number;
  readonly verdict: Verdict;
}

export class BundleCache {
  readonly #kept = new Map<string, Kept>();
  #characters = 0;

  get(text: string, expected: Expectations, policy: Policy, nowMs: number): Verdict | undefined {
    const kept = this.#kept.get(keyOf(text, expected));
    if (kept === undefined || kept.policy !== policy) return undefined;
    return kept.sameFromMs <= nowMs && nowMs <= kept.sameUntilMs ? kept.verdict : undefined;
  }

  add(text: string, expected: Expectations, policy: Policy, clock: Clock, verdict: Verdict): void {
    if (verdict.verdict !== 'accepted') return;
    const { sameFromMs, sameUntilMs } = clock;
    const key = keyOf(text, expected);
    this.#forget(key);
    this.#kept.set(key, { policy, sameFromMs, sameUntilMs, verdict: frozen(verdict) });
    this.#characters += key.length;
    for (const [oldest] of this.#kept) {
      if (this.#characters <= limits.rememberedBundleCharacters) break;
      this.#forget(oldest);
    }
  }

  #forget(key: string): void {
    if (this.#kept.delete(key)) this.#characters -= key.length;
  }
}

/** JSON keeps the three apart, and nothing that is expected from an empty string. */
const keyOf = (text: string, { epochNonce, modelDigest, configDigest }: Expectations): string =>
  JSON.stringify([epochNonce ?? null, modelDigest ?? null, configDigest ?? null]) + text;
