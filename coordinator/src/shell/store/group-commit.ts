/**
 * Group commit: writes that arrive in the same turn of the event loop share one transaction, and so one wait for the
 * disk. First come, first committed; a promise resolves only after its commit.
 */
import type { WriteOutcome } from './port.ts';
import { StoreError } from './store-error.ts';

export interface GroupBounds {
  /** Writes in one transaction; more wait for the next, with a turn for sockets between. */
  readonly groupMax: number;
  /** Writes that may wait; more are refused at once. */
  readonly waitingMax: number;
}

export const groupBounds: GroupBounds = { groupMax: 128, waitingMax: 16_384 };

/**
 * Writes a group in one transaction and commits it. Returns for each write what became of it, or why it was
 * refused. Throws when nothing of the group was committed.
 */
export type CommitGroup<Write> = (group: readonly Write[]) => readonly (WriteOutcome | StoreError)[];

interface Waiting<Write> {
  readonly write: Write;
  readonly resolve: (outcome: WriteOutcome) => void;
  readonly reject: (error: StoreError) => void;
}

export class GroupCommit<Write> {
  readonly #commit: CommitGroup<Write>;
  readonly #bounds: GroupBounds;
  #waiting: Waiting<Write>[] = [];
  #scheduled = false;
  /** Since the start, for the operator: how well commits are shared. */
  readonly counts = { writes: 0, groups: 0, failed: 0 };
  /** Told how long each commit took. */
  onCommit: (seconds: number) => void = () => undefined;
  #closed = false;

  constructor(commit: CommitGroup<Write>, bounds: GroupBounds = groupBounds) {
    this.#commit = commit;
    this.#bounds = bounds;
  }

  write(write: Write): Promise<WriteOutcome> {
    if (this.#closed) return Promise.reject(new StoreError('closed', 'the store is closed'));
    if (this.#waiting.length >= this.#bounds.waitingMax)
      return Promise.reject(new StoreError('overloaded', `${this.#bounds.waitingMax} writes are waiting`));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ write, resolve, reject });
      this.#schedule();
    });
  }

  /** Commits what is waiting and refuses what comes later. */
  close(): void {
    this.#closed = true;
    while (this.#waiting.length > 0) this.#commitNext();
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // After the sockets of this turn have been read, so that all their writes are in the group.
    setImmediate(() => {
      this.#scheduled = false;
      this.#commitNext();
      if (this.#waiting.length > 0) this.#schedule();
    });
  }

  #commitNext(): void {
    const group = this.#waiting.slice(0, this.#bounds.groupMax);
    this.#waiting = this.#waiting.slice(this.#bounds.groupMax);
    if (group.length === 0) return;
    this.counts.writes += group.length;
    this.counts.groups += 1;
    const startedMs = performance.now();
    const outcomes = this.#outcomesOf(group);
    this.onCommit((performance.now() - startedMs) / 1000);
    this.counts.failed += outcomes.filter((outcome) => outcome instanceof StoreError).length;
    group.forEach(({ resolve, reject }, i) => {
      const outcome = outcomes[i];
      if (outcome === 'written' || outcome === 'known') resolve(outcome);
      // A missing outcome would be a bug; it must not pass for a commit.
      else reject(outcome ?? new StoreError('disk', 'the outcome of a write is unknown'));
    });
  }

  #outcomesOf(group: readonly Waiting<Write>[]): readonly (WriteOutcome | StoreError)[] {
    try {
      return this.#commit(group.map((waiting) => waiting.write));
    } catch (error) {
      const failed =
        error instanceof StoreError
          ? error
          : new StoreError('disk', 'the group was not committed', { cause: error });
      return group.map(() => failed);
    }
  }
}
