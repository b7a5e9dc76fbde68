/** A clock that goes on when a test says so. */
import type { Clock } from '../ports.ts';

interface Timer {
  readonly atMs: number;
  readonly fn: () => void;
}

export class TestClock implements Clock {
  #nowMs: number;
  readonly #timers = new Set<Timer>();

  constructor(nowMs: number) {
    this.#nowMs = nowMs;
  }

  nowMs = (): number => this.#nowMs;
  random = (): number => 0.5;

  after(delayMs: number, fn: () => void): () => void {
    const timer = { atMs: this.#nowMs + delayMs, fn };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  /** Fires what falls due, each at its own time, and lets promises settle between. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#nowMs = Math.max(this.#nowMs, due.atMs);
      due.fn();
      await settle();
    }
    this.#nowMs = endMs;
    await settle();
  }
}

/** WebCrypto works outside of this thread: a few rounds of the event loop. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 3; i++) await new Promise((resolve) => setImmediate(resolve));
}

/** Waits for what must come soon; the bound is for a test that would hang. */
export async function until<T>(look: () => T | undefined, what: string): Promise<T> {
  const byMs = performance.now() + 10_000;
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    if (performance.now() > byMs) throw new Error(`${what} did not come`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
