/**
 * Finds the first stop string in a text that arrives in pieces, and says how much of the text can be delivered meanwhile:
 * what might still become a stop string is held back. A match may begin in the text delivered earlier.
 * "First" is the match that ends first, and of those the one that begins first; so the pieces' borders do not matter.
 */
export interface StopState {
  /** Characters (UTF-16 units) of the new text that no stop string can take back any more. */
  readonly safe: number;
  /** Where in the new text the stop string begins, 0 if in the earlier text; null while none is found. */
  readonly stopAt: number | null;
}

export class StopMatcher {
  readonly #stops: readonly string[];
  readonly #reach: number;
  /** The last characters, as many as a match that is not complete may have. */
  #window: string;
  /** Length of all new text so far. */
  #length = 0;
  #stopAt: number | null = null;

  constructor(stops: readonly string[], earlier: string) {
    this.#stops = stops.filter((stop) => stop !== '');
    this.#reach = Math.max(0, ...this.#stops.map((stop) => stop.length - 1));
    this.#window = this.#reach === 0 ? '' : earlier.slice(-this.#reach);
  }

  push(text: string): StopState {
    if (this.#stopAt !== null) return { safe: this.#stopAt, stopAt: this.#stopAt };
    const searched = this.#window + text;
    const origin = this.#length - this.#window.length;
    const match = this.#firstMatch(searched, this.#window.length);
    this.#length += text.length;
    if (match !== null) {
      this.#stopAt = Math.max(0, origin + match);
      return { safe: this.#stopAt, stopAt: this.#stopAt };
    }
    this.#window = this.#reach === 0 ? '' : searched.slice(-this.#reach);
    return { safe: Math.max(0, this.#length - this.#heldBack()), stopAt: null };
  }

  /** Start of the first match that ends behind `known`; what ends before it was looked at already. */
  #firstMatch(searched: string, known: number): number | null {
    let best: { start: number; end: number } | null = null;
    for (const stop of this.#stops) {
      const start = searched.indexOf(stop, Math.max(0, known - stop.length + 1));
      const end = start + stop.length;
      if (start >= 0 && (best === null || end < best.end || (end === best.end && start < best.start)))
        best = { start, end };
    }
    return best?.start ?? null;
  }

  /** Length of the longest end of the text that begins a stop string. */
  #heldBack(): number {
    let held = 0;
    for (const stop of this.#stops)
      for (let length = Math.min(stop.length - 1, this.#window.length); length > held; length--)
        if (stop.startsWith(this.#window.slice(-length))) held = length;
    return held;
  }
}
