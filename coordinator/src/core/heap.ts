/**
 * A binary min-heap whose items know their place, so that any of them can be removed or moved: nothing stale stays inside.
 * `push`, `pop`, `remove` and `moved` cost O(log n), `peek` O(1).
 */

/** An item is in one heap at a time. */
export interface HeapItem {
  /** Kept by the heap; -1 outside. */
  place: number;
}

export class Heap<Item extends HeapItem> {
  readonly #items: Item[] = [];
  readonly #before: (a: Item, b: Item) => boolean;

  constructor(before: (a: Item, b: Item) => boolean) {
    this.#before = before;
  }

  get size(): number {
    return this.#items.length;
  }

  peek(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item): void {
    this.#items.push(item);
    this.#rise(item, this.#items.length - 1);
  }

  pop(): Item | undefined {
    const top = this.#items[0];
    if (top !== undefined) this.remove(top);
    return top;
  }

  remove(item: Item): void {
    const at = item.place;
    if (this.#items[at] !== item) throw new Error('an item that is not in this heap');
    item.place = -1;
    const last = this.#items.pop() as Item;
    if (last === item) return;
    this.#settle(last, at);
  }

  /** To be called when an item's order has changed. */
  moved(item: Item): void {
    this.#settle(item, item.place);
  }

  /**
   * The first item in order that `accepts` takes, which stays inside.
   * Costs O(k log k) for k items looked at, whatever else is inside.
   */
  first(accepts: (item: Item) => boolean): Item | undefined {
    const top = this.#items[0];
    if (top === undefined || accepts(top)) return top;
    if (this.#items.length === 1) return undefined;
    const next = new Heap<Candidate<Item>>((a, b) => this.#before(a.item, b.item));
    this.#pushChildren(next, top);
    for (let candidate = next.pop(); candidate !== undefined; candidate = next.pop()) {
      const { item } = candidate;
      if (accepts(item)) return item;
      this.#pushChildren(next, item);
    }
    return undefined;
  }

  #pushChildren(next: Heap<Candidate<Item>>, { place }: Item): void {
    for (let child = 2 * place + 1; child <= 2 * place + 2; child++) {
      const item = this.#items[child];
      if (item !== undefined) next.push({ item, place: -1 });
    }
  }

  /** Puts an item at a place or wherever its order takes it from there. */
  #settle(item: Item, at: number): void {
    const above = this.#items[(at - 1) >> 1];
    if (at > 0 && above !== undefined && this.#before(item, above)) this.#rise(item, at);
    else this.#sink(item, at);
  }

  #rise(item: Item, from: number): void {
    const items = this.#items;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = items[parent] as Item;
      if (!this.#before(item, above)) break;
      items[at] = above;
      above.place = at;
      at = parent;
    }
    items[at] = item;
    item.place = at;
  }

  #sink(item: Item, from: number): void {
    const items = this.#items;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= items.length) break;
      const right = child + 1;
      if (right < items.length && this.#before(items[right] as Item, items[child] as Item)) child = right;
      const below = items[child] as Item;
      if (!this.#before(below, item)) break;
      items[at] = below;
      below.place = at;
      at = child;
    }
    items[at] = item;
    item.place = at;
  }
}

interface Candidate<Item> extends HeapItem {
  readonly item: Item;
}
