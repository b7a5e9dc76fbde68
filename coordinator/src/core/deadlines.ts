/**
 * When what must be looked at next: at most one time for each thing, the earliest that was asked for. `set` and `forget` cost
 * O(log n) for n things; what is forgotten leaves nothing behind.
 */
import { Heap, type HeapItem } from './heap.ts';

export type DeadlineKind =
  | 'job'
  | 'checkpoint'
  | 'connection'
  | 'contributor'
  | 'node'
  | 'epoch'
  | 'sealed-job';

interface Deadline extends HeapItem {
  atMs: number;
  readonly kind: DeadlineKind;
  readonly id: string;
}

export class Deadlines {
  readonly #heap = new Heap<Deadline>((a, b) => a.atMs < b.atMs);
  readonly #known: Readonly<Record<DeadlineKind, Map<string, Deadline>>> = {
    job: new Map(),
    checkpoint: new Map(),
    connection: new Map(),
    contributor: new Map(),
    node: new Map(),
    epoch: new Map(),
    'sealed-job': new Map(),
  };

  get size(): number {
    return this.#heap.size;
  }

  /** The earlier of this time and the one already set is kept: looking early is harmless. */
  set(kind: DeadlineKind, id: string, atMs: number): void {
    const known = this.#known[kind].get(id);
    if (known === undefined) {
      const deadline = { atMs, kind, id, place: -1 };
      this.#known[kind].set(id, deadline);
      this.#heap.push(deadline);
    } else if (atMs < known.atMs) {
      known.atMs = atMs;
      this.#heap.moved(known);
    }
  }

  forget(kind: DeadlineKind, id: string): void {
    const known = this.#known[kind].get(id);
    if (known === undefined) return;
    this.#known[kind].delete(id);
    this.#heap.remove(known);
  }

  /** Takes out the first that is due. */
  due(atMs: number): { readonly kind: DeadlineKind; readonly id: string } | undefined {
    const next = this.#heap.peek();
    if (next === undefined || next.atMs > atMs) return undefined;
    this.forget(next.kind, next.id);
    return next;
  }
}
