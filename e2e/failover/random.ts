/** Random draws that a seed repeats. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** A whole number in min..max. */
  whole(min: number, max: number): number {
    return min + Math.floor(this.#next() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.#next() < probability;
  }

  /** Deals all items in a random order, then all of them again, for ever. */
  *deal<Item>(items: readonly Item[]): Generator<Item, never> {
    for (;;) {
      const left = [...items];
      while (left.length > 0) yield* left.splice(this.whole(0, left.length - 1), 1);
    }
  }

  /** In [0, 1); mulberry32. */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  }
}
