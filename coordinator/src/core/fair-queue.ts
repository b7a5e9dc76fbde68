/**
 * Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996) of flows: while flows wait, each gets capacity in proportion
 * to its weight, and one that was idle gains no credit for it. Flows may share a group, which is one flow among the others
 * (hierarchical sharing, ibid. section 3). Within a flow the order is that of arrival, and what cannot be served now keeps
 * its place without holding anybody up.
 *
 * Virtual time goes on with all service, as that of an ideal fluid server does, up to one item ahead of the least start tag.
 * If it only followed that tag, an endless row of new flows, each beginning there, would starve those that have been served.
 *
 * With f flows waiting, `push` and `remove` cost O(log f), and `take` O(log f + k log k), for k flows and items that were
 * refused before the one taken.
 */
import { Heap, type HeapItem } from './heap.ts';

/** What shares a group's capacity with its siblings: a flow, or a group of flows. */
interface Share<Item> extends HeapItem {
  readonly name: string;
  readonly parent: Group<Item> | null;
  weight: number;
  /** Virtual time at which its next item may begin, and at which its last one has had its due. */
  startTag: number;
  finishTag: number;
  /** Among equal start tags who came first goes first. */
  turn: number;
  /** Items waiting. */
  size: number;
  first(accepts: (item: Item) => boolean): Item | undefined;
}

class Flow<Item> implements Share<Item> {
  place = -1;
  startTag = 0;
  finishTag = 0;
  turn = 0;
  /** With their costs, in order of arrival. */
  readonly items = new Map<Item, number>();
  readonly name: string;
  readonly parent: Group<Item>;
  weight: number;

  constructor(name: string, weight: number, parent: Group<Item>) {
    this.name = name;
    this.weight = weight;
    this.parent = parent;
  }

  get size(): number {
    return this.items.size;
  }

  first(accepts: (item: Item) => boolean): Item | undefined {
    for (const item of this.items.keys()) if (accepts(item)) return item;
    return undefined;
  }
}

class Group<Item> implements Share<Item> {
  place = -1;
  startTag = 0;
  finishTag = 0;
  turn = 0;
  size = 0;
  weight = 1;
  readonly name: string;
  readonly parent: Group<Item> | null;
  /** Those that wait, and those whose last finish tag virtual time has not passed yet. */
  readonly #known = new Map<string, Share<Item>>();
  readonly #waiting = new Heap<Share<Item>>(
    (a, b) => a.startTag < b.startTag || (a.startTag === b.startTag && a.turn < b.turn),
  );
  readonly #served = new Heap<Share<Item>>((a, b) => a.finishTag < b.finishTag);
  #virtualTime = 0;
  #weights = 0;
  #turns = 0;

  constructor(name: string, parent: Group<Item> | null) {
    this.name = name;
    this.parent = parent;
  }

  /** Shares that are remembered. */
  get known(): number {
    return this.#known.size;
  }

  get(name: string): Share<Item> | undefined {
    return this.#known.get(name);
  }

  add<Kind extends Share<Item>>(share: Kind): Kind {
    this.#known.set(share.name, share);
    return share;
  }

  first(accepts: (item: Item) => boolean): Item | undefined {
    let found: Item | undefined;
    this.#waiting.first((share) => (found = share.first(accepts)) !== undefined);
    return found;
  }

  /** A known share had nothing waiting and has now. */
  enter(share: Share<Item>): void {
    if (share.place >= 0) this.#served.remove(share);
    share.startTag = Math.max(this.#virtualTime, share.finishTag);
    share.turn = this.#turns++;
    this.#waiting.push(share);
    this.#weights += share.weight;
  }

  /** A share's item of this cost was taken; it may have more. */
  serve(share: Share<Item>, cost: number): void {
    const now = Math.max(this.#virtualTime, share.startTag);
    const due = cost / share.weight;
    share.finishTag = share.startTag + due;
    share.startTag = share.finishTag;
    share.turn = this.#turns++;
    this.#waiting.moved(share);
    const least = this.#waiting.peek()?.startTag ?? 0;
    this.#virtualTime = Math.max(now, Math.min(now + cost / this.#weights, least + due));
    this.#forget(this.#virtualTime);
  }

  /** A share has nothing waiting any more. When none has, the past is forgotten: nobody was deprived of anything. */
  leave(share: Share<Item>): void {
    this.#waiting.remove(share);
    this.#weights -= share.weight;
    this.#served.push(share);
    this.#forget(this.#waiting.size === 0 ? Infinity : this.#virtualTime);
  }

  /** Forgets who would get the same start tag unknown. */
  #forget(until: number): void {
    for (let next = this.#served.peek(); next !== undefined && next.finishTag <= until;) {
      this.#served.remove(next);
      this.#known.delete(next.name);
      next = this.#served.peek();
    }
  }
}

export class FairQueue<Item> {
  readonly #root = new Group<Item>('', null);
  readonly #flowOf = new Map<Item, Flow<Item>>();
  /** Before all others, in order of arrival. */
  readonly #first = new Set<Item>();

  get size(): number {
    return this.#flowOf.size + this.#first.size;
  }

  /** Flows and groups that are remembered; those of groups not counted. */
  get known(): number {
    return this.#root.known;
  }

  /** Items of a flow or a group outside of groups that wait in their turn. */
  waitingOf(name: string): number {
    return this.#root.get(name)?.size ?? 0;
  }

  /**
   * `cost` is the service asked for, in tokens; `weight` the flow's share among its siblings, as it was when the flow began to
   * wait. Both positive. Flows and groups have different names; a group weighs 1.
   */
  push(item: Item, flow: string, cost: number, weight: number, group?: string): void {
    const parent = group === undefined ? this.#root : this.#groupOf(group);
    const known = parent.get(flow);
    const own = known instanceof Flow ? known : parent.add(new Flow(flow, weight, parent));
    own.items.set(item, cost);
    this.#flowOf.set(item, own);
    if (own.size === 1) parent.enter(own);
    if (parent.parent === null) return;
    parent.size += 1;
    if (parent.size === 1) parent.parent.enter(parent);
  }

  /** Puts an item before all others: a cut answer that goes on. */
  pushFirst(item: Item): void {
    this.#first.add(item);
  }

  /** Removes and returns the first item in fair order that `accepts` takes. */
  take(accepts: (item: Item) => boolean): Item | undefined {
    for (const item of this.#first)
      if (accepts(item)) {
        this.#first.delete(item);
        return item;
      }
    const item = this.#root.first(accepts);
    const flow = item === undefined ? undefined : this.#flowOf.get(item);
    if (item === undefined || flow === undefined) return undefined;
    const cost = flow.items.get(item) ?? 0;
    for (let share: Share<Item> = flow; share.parent !== null; share = share.parent)
      share.parent.serve(share, cost);
    this.remove(item);
    return item;
  }

  /** Removes an item wherever it stands. */
  remove(item: Item): boolean {
    const flow = this.#flowOf.get(item);
    if (flow === undefined) return this.#first.delete(item);
    this.#flowOf.delete(item);
    flow.items.delete(item);
    const { parent } = flow;
    if (flow.size === 0) parent.leave(flow);
    if (parent.parent === null) return true;
    parent.size -= 1;
    if (parent.size === 0) parent.parent.leave(parent);
    return true;
  }

  #groupOf(name: string): Group<Item> {
    const known = this.#root.get(name);
    return known instanceof Group ? known : this.#root.add(new Group(name, this.#root));
  }
}
