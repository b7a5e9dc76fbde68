/** How long to wait before trying again: exponential, bounded, and spread so that many do not come back at once. */
export interface BackOff {
  readonly baseMs: number;
  readonly capMs: number;
}

const EXPONENT_MAX = 16;

/**
 * Delay before attempt number `attempt` (0 is the first repetition), from `random` in [0, 1): between half of and the whole
 * of `baseMs * 2^attempt`, never above `capMs`.
 */
export function backOffMs({ baseMs, capMs }: BackOff, attempt: number, random: number): number {
  const whole = Math.min(capMs, baseMs * 2 ** Math.min(attempt, EXPONENT_MAX));
  return Math.round(whole * (0.5 + random / 2));
}
