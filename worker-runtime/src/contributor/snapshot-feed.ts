/** Hands snapshots to listeners: changes of state at once, counters and progress a few times a second. */
import type { Clock } from './ports.ts';
import type { ContributorSnapshot } from './snapshot.ts';

const COUNTERS_EVERY_MS = 250;
const counters = new Set<keyof ContributorSnapshot>(['tokensDone', 'progress']);

export class SnapshotFeed {
  readonly #clock: Clock;
  readonly #listeners = new Set<(snapshot: ContributorSnapshot) => void>();
  #shown: ContributorSnapshot;
  #latest: ContributorSnapshot;
  #cancel: (() => void) | undefined;

  constructor(first: ContributorSnapshot, clock: Clock) {
    this.#shown = first;
    this.#latest = first;
    this.#clock = clock;
  }

  get snapshot(): ContributorSnapshot {
    return this.#shown;
  }

  subscribe(listener: (snapshot: ContributorSnapshot) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  show(next: ContributorSnapshot): void {
    this.#latest = next;
    const changed = (Object.keys(next) as (keyof ContributorSnapshot)[]).filter(
      (key) => next[key] !== this.#shown[key],
    );
    if (changed.length === 0) return;
    if (changed.every((key) => counters.has(key)))
      this.#cancel ??= this.#clock.after(COUNTERS_EVERY_MS, () => this.#publish());
    else this.#publish();
  }

  #publish(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#shown = this.#latest;
    for (const listener of this.#listeners) listener(this.#shown);
  }
}
