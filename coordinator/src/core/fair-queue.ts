/**
 * Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) over flows: each flow gets capacity in proportion to its
 * weight, and a flow that was idle gains no credit for it. A flow is an account, or a network address for guests.
 */
import { Heap } from './heap.ts';

interface Waiting<Item> {
  readonly item: Item;
  readonly flow: string;
  readonly startTag: number;
  readonly sequence: number;
  live: boolean;
}

export class FairQueue<Item> {
  readonly #heap = new Heap<Waiting<Item>>(
    (a, b) => a.startTag < b.startTag || (a.startTag === b.startTag && a.sequence < b.sequence),
  );
  readonly #waiting = new Map<Item, Waiting<Item>>();
  /** Finish tag of the last item of each flow; forgotten once virtual time has passed it. */
  readonly #finishTags = new Map<string, number>();
  #virtualTime = 0;
  #sequence = 0;

  get size(): number {
    return this.#waiting.size;
  }

  /** `cost` is the service asked for, in tokens; `weight` the flow's share. Both positive. */
  push(item: Item, flow: string, cost: number, weight: number): void {
    const startTag = Math.max(this.#virtualTime, this.#finishTags.get(flow) ?? 0);
    this.#finishTags.set(flow, startTag + cost / weight);
    this.#add({ item, flow, startTag, sequence: this.#sequence++, live: true });
  }

  /** Puts an item before all others: a cut answer that goes on. */
  pushFirst(item: Item, flow: string): void {
    this.#add({ item, flow, startTag: -1, sequence: this.#sequence++, live: true });
  }

  /**
   * Removes and returns the first item in fair order that `accepts` takes; looks at no more than `lookahead` items, so that
   * one demanding request can't make matching slow.
   */
  take(accepts: (item: Item) => boolean, lookahead = 32): Item | undefined {
    const passed: Waiting<Item>[] = [];
    let found: Waiting<Item> | undefined;
    while (found === undefined && passed.length < lookahead) {
      const next = this.#heap.pop();
      if (next === undefined) break;
      if (!next.live) continue;
      if (accepts(next.item)) found = next;
      else passed.push(next);
    }
    for (const waiting of passed) this.#heap.push(waiting);
    if (found === undefined) return undefined;
    this.#waiting.delete(found.item);
    this.#virtualTime = Math.max(this.#virtualTime, found.startTag);
    this.#forgetPassedFlows();
    return found.item;
  }

  /** Removes an item wherever it stands. */
  remove(item: Item): boolean {
    const waiting = this.#waiting.get(item);
    if (waiting === undefined) return false;
    waiting.live = false;
    this.#waiting.delete(item);
    return true;
  }

  #add(waiting: Waiting<Item>): void {
    this.#waiting.set(waiting.item, waiting);
    this.#heap.push(waiting);
  }

  #forgetPassedFlows(): void {
    if (this.#finishTags.size < 1_024) return;
    for (const [flow, tag] of this.#finishTags) if (tag <= this.#virtualTime) this.#finishTags.delete(flow);
  }
}
