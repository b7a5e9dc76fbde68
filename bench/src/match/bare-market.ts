/**
 * The floor: the coordinator's own contributors in one binary heap a model, with lazy deletion, in the matcher's order. It
 * looks at no demand and no queue.
 *
 * An entry stays where it is while its contributor is busy. When it comes to the top it is dropped if its contributor is
 * still busy, and moved to its place if that was busy in the meantime. Who is given back is pushed where it is missing only,
 * in the class of speed that its record has by then, as the matcher has it.
 * That takes fewer steps than an entry pushed into all its models each time, which must all be popped again.
 */
import type { Contributor } from '@tussah/coordinator/core/state';

export interface BareContributor {
  readonly contributor: Contributor;
  readonly entries: Entry[];
  speedClass: number;
  busy: boolean;
}

interface Entry {
  readonly bare: BareContributor;
  readonly heap: Entry[];
  readonly ask: number;
  /** As they were when it was last put in its place. */
  speedClass: number;
  lastServed: number;
  inside: boolean;
}

const isBefore = (a: Entry, b: Entry): boolean => {
  if (a.ask !== b.ask) return a.ask < b.ask;
  if (a.speedClass !== b.speedClass) return a.speedClass > b.speedClass;
  return a.lastServed < b.lastServed;
};

function push(items: Entry[], entry: Entry): void {
  let at = items.length;
  items.push(entry);
  while (at > 0) {
    const parent = (at - 1) >> 1;
    const above = items[parent] as Entry;
    if (!isBefore(entry, above)) break;
    items[at] = above;
    at = parent;
  }
  items[at] = entry;
}

/** Puts an entry at the top, or below where it belongs. */
function sink(items: Entry[], entry: Entry): void {
  let at = 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= items.length) break;
    if (child + 1 < items.length && isBefore(items[child + 1] as Entry, items[child] as Entry)) child += 1;
    const below = items[child] as Entry;
    if (!isBefore(below, entry)) break;
    items[at] = below;
    at = child;
  }
  items[at] = entry;
}

function drop(items: Entry[]): void {
  const last = items.pop();
  if (items.length > 0 && last !== undefined) sink(items, last);
}

export class BareMarket {
  readonly #heaps: readonly Entry[][];

  constructor(models: number) {
    this.#heaps = Array.from({ length: models }, () => []);
  }

  join(contributor: Contributor, models: readonly number[], ask: number): void {
    const bare: BareContributor = { contributor, entries: [], speedClass: 0, busy: false };
    for (const model of models) {
      const heap = this.#heaps[model] as Entry[];
      bare.entries.push({ bare, heap, ask, speedClass: 0, lastServed: 0, inside: false });
    }
    this.offer(bare);
  }

  offer(bare: BareContributor): void {
    const { record, lastServed } = bare.contributor;
    const reliability = (record.jobsDone + 4) / (record.jobsDone + record.jobsFailed + 4);
    bare.speedClass = Math.floor(Math.log2(Math.min(record.tokensPerSecond ?? 1, 60) * reliability));
    bare.busy = false;
    for (const entry of bare.entries) {
      if (entry.inside) continue;
      entry.inside = true;
      entry.speedClass = bare.speedClass;
      entry.lastServed = lastServed;
      push(entry.heap, entry);
    }
  }

  /** The best idle one, which is idle no more. */
  take(model: number): BareContributor {
    const heap = this.#heaps[model] as Entry[];
    for (let top = heap[0]; top !== undefined; top = heap[0]) {
      const { bare } = top;
      const { lastServed } = bare.contributor;
      if (!bare.busy && top.lastServed !== lastServed) {
        top.speedClass = bare.speedClass;
        top.lastServed = lastServed;
        sink(heap, top);
        continue;
      }
      drop(heap);
      top.inside = false;
      if (bare.busy) continue;
      bare.busy = true;
      return bare;
    }
    throw new Error('nobody is idle');
  }
}
