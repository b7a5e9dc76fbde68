/** Time for tests: it moves only when told to. */
import type { Timers } from './watchdog.ts';

export class FakeTimers implements Timers {
  #now = 0;
  readonly #waiting = new Set<{ at: number; call: () => void }>();

  now(): number {
    return this.#now;
  }

  after(delayMs: number, call: () => void): () => void {
    const entry = { at: this.#now + delayMs, call };
    this.#waiting.add(entry);
    return () => this.#waiting.delete(entry);
  }

  /** Moves on, calling what falls due in its order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const due = [...this.#waiting].filter((entry) => entry.at <= end).toSorted((a, b) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#waiting.delete(due);
      this.#now = due.at;
      due.call();
    }
    this.#now = end;
  }

  get pending(): number {
    return this.#waiting.size;
  }
}
