/** Reads a growing text again as it grows, but never spends more than a tenth of the time on it. */
import { readMarkdown, type Markdown } from './tree.ts';

export class MarkdownReading {
  markdown: Markdown = $state.raw({ blocks: [], sources: [] });
  #previous: Markdown | undefined;
  #costMs = 0;
  #readAtMs = 0;

  /** Reads now where time allows or the text is whole, else soon; returns how to call that off. */
  follow(text: string, live: boolean): (() => void) | undefined {
    const waitMs = live ? this.#readAtMs + 10 * this.#costMs - performance.now() : 0;
    if (waitMs <= 0) {
      this.#read(text);
      return undefined;
    }
    const timer = setTimeout(() => this.#read(text), waitMs);
    return () => clearTimeout(timer);
  }

  #read(text: string): void {
    const startedAtMs = performance.now();
    this.#previous = readMarkdown(text, this.#previous);
    this.markdown = this.#previous;
    this.#readAtMs = performance.now();
    this.#costMs = this.#readAtMs - startedAtMs;
  }
}
