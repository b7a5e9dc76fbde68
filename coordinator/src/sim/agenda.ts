/** Simulated time: what is to happen, in order. What is due at the same time happens in the order it was planned. */
import { Heap } from '../core/heap.ts';

interface Entry {
  place: number;
  readonly atMs: number;
  readonly sequence: number;
  readonly act: () => void;
}

export class Agenda {
  /** Time since the beginning; never runs backwards. */
  nowMs = 0;
  readonly #entries = new Heap<Entry>(
    (a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence),
  );
  #sequence = 0;

  after(delayMs: number, act: () => void): void {
    this.at(this.nowMs + delayMs, act);
  }

  at(atMs: number, act: () => void): void {
    this.#entries.push({ place: -1, atMs: Math.max(atMs, this.nowMs), sequence: this.#sequence++, act });
  }

  /** Lets the next thing happen; false when there is none. */
  advance(): boolean {
    const entry = this.#entries.pop();
    if (entry === undefined) return false;
    this.nowMs = entry.atMs;
    entry.act();
    return true;
  }
}
