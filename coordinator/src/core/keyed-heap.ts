/**
 * A binary min-heap whose items lie beside their keys, two numbers each: the first decides, then the second. Sifting looks at
 * no item, so that it costs no visit to memory but the heap's own, however far apart the items are.
 *
 * `push`, `pop` and `rekeyTop` cost O(log n), `retain` O(n). Memory is at most four times what is inside, and some.
 */
const WIDTH = 2;
const LEAST = 8;

export class KeyedHeap<Item> {
  readonly #items: Item[] = [];
  #keys = new Float64Array(WIDTH * LEAST);

  get size(): number {
    return this.#items.length;
  }

  /** Of the least; Infinity when there is none. */
  get topFirst(): number {
    return this.#items.length === 0 ? Infinity : (this.#keys[0] as number);
  }

  /** Of the least; Infinity when there is none. */
  get topSecond(): number {
    return this.#items.length === 0 ? Infinity : (this.#keys[1] as number);
  }

  peek(): Item | undefined {
    return this.#items[0];
  }

  push(item: Item, first: number, second: number): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    if (WIDTH * items.length > this.#keys.length) this.#resize(2 * this.#keys.length);
    const keys = this.#keys;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = keys[WIDTH * parent] as number;
      if (above < first || (above === first && (keys[WIDTH * parent + 1] as number) <= second)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(item, first, second, at);
  }

  pop(): Item | undefined {
    const items = this.#items;
    const top = items[0];
    const last = items.pop();
    const from = WIDTH * items.length;
    if (items.length > 0)
      this.#sink(last as Item, this.#keys[from] as number, this.#keys[from + 1] as number, 0);
    return top;
  }

  /** Gives the least item, of which there must be one, another key. */
  rekeyTop(first: number, second: number): void {
    this.#sink(this.#items[0] as Item, first, second, 0);
  }

  /** Drops all items that are not wanted. */
  retain(wanted: (item: Item, first: number, second: number) => boolean): void {
    const items = this.#items;
    const keys = this.#keys;
    let kept = 0;
    for (let at = 0; at < items.length; at++)
      if (wanted(items[at] as Item, keys[WIDTH * at] as number, keys[WIDTH * at + 1] as number))
        this.#move(at, kept++);
    items.length = kept;
    if (WIDTH * Math.max(kept, LEAST) * 4 <= keys.length) this.#resize(2 * WIDTH * Math.max(kept, LEAST));
    for (let at = (kept >> 1) - 1; at >= 0; at--)
      this.#sink(
        items[at] as Item,
        this.#keys[WIDTH * at] as number,
        this.#keys[WIDTH * at + 1] as number,
        at,
      );
  }

  #resize(numbers: number): void {
    const keys = new Float64Array(numbers);
    keys.set(this.#keys.subarray(0, numbers));
    this.#keys = keys;
  }

  #sink(item: Item, first: number, second: number, from: number): void {
    const keys = this.#keys;
    const { length } = this.#items;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= length) break;
      let below = keys[WIDTH * child] as number;
      if (child + 1 < length) {
        const right = keys[WIDTH * child + 2] as number;
        if (
          right < below ||
          (right === below && (keys[WIDTH * child + 3] as number) < (keys[WIDTH * child + 1] as number))
        ) {
          child += 1;
          below = right;
        }
      }
      if (below > first || (below === first && (keys[WIDTH * child + 1] as number) >= second)) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(item, first, second, at);
  }

  #move(from: number, to: number): void {
    const keys = this.#keys;
    this.#items[to] = this.#items[from] as Item;
    keys[WIDTH * to] = keys[WIDTH * from] as number;
    keys[WIDTH * to + 1] = keys[WIDTH * from + 1] as number;
  }

  #put(item: Item, first: number, second: number, at: number): void {
    this.#items[at] = item;
    this.#keys[WIDTH * at] = first;
    this.#keys[WIDTH * at + 1] = second;
  }
}
