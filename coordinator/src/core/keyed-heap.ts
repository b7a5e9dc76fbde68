/**
 * A min-heap of whole numbers, each beside its key of two numbers: the first decides, then the second. All lie in one array,
 * four children a node, so that sifting touches little memory, and none but the heap's own.
 *
 * `push`, `pop` and `rekeyTop` cost O(log n), `retain` O(n). Memory is at most four times what is inside, and some.
 */
const LOG_CHILDREN = 2;
const CHILDREN = 1 << LOG_CHILDREN;
/** Columns: the key, and what it is the key of. */
const WIDTH = 3;
const SECOND = 1;
const ITEM = 2;
const LEAST = 8;

export class KeyedHeap {
  #rows = new Float64Array(WIDTH * LEAST);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Of the least; Infinity when there is none. */
  get topFirst(): number {
    return this.#size === 0 ? Infinity : (this.#rows[0] as number);
  }

  /** Of the least; Infinity when there is none. */
  get topSecond(): number {
    return this.#size === 0 ? Infinity : (this.#rows[SECOND] as number);
  }

  /** The least; -1 when there is none. */
  peek(): number {
    return this.#size === 0 ? -1 : (this.#rows[ITEM] as number);
  }

  push(item: number, first: number, second: number): void {
    let at = this.#size++;
    if (WIDTH * this.#size > this.#rows.length) this.#resize(2 * this.#rows.length);
    const rows = this.#rows;
    while (at > 0) {
      const parent = (at - 1) >> LOG_CHILDREN;
      const above = rows[WIDTH * parent] as number;
      if (above < first || (above === first && (rows[WIDTH * parent + SECOND] as number) <= second)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#put(item, first, second, at);
  }

  /** Removes the least, of which there must be one. */
  pop(): void {
    this.#size -= 1;
    if (this.#size > 0) this.#sift(this.#size, 0);
  }

  /** Gives the least, of which there must be one, another key. */
  rekeyTop(first: number, second: number): void {
    this.#sink(this.peek(), first, second, 0);
  }

  /** Drops all that are not wanted. */
  retain(wanted: (item: number, first: number, second: number) => boolean): void {
    const rows = this.#rows;
    let kept = 0;
    for (let at = 0; at < this.#size; at++) {
      const row = WIDTH * at;
      if (wanted(rows[row + ITEM] as number, rows[row] as number, rows[row + SECOND] as number))
        this.#move(at, kept++);
    }
    this.#size = kept;
    const least = WIDTH * Math.max(kept, LEAST);
    if (4 * least <= rows.length) this.#resize(2 * least);
    for (let at = Math.floor((kept + CHILDREN - 2) / CHILDREN) - 1; at >= 0; at--) this.#sift(at, at);
  }

  #resize(numbers: number): void {
    const rows = new Float64Array(numbers);
    rows.set(this.#rows.subarray(0, numbers));
    this.#rows = rows;
  }

  /** Puts what is at one place to another, or below where it belongs. */
  #sift(from: number, to: number): void {
    const row = WIDTH * from;
    const rows = this.#rows;
    this.#sink(rows[row + ITEM] as number, rows[row] as number, rows[row + SECOND] as number, to);
  }

  #sink(item: number, first: number, second: number, from: number): void {
    const rows = this.#rows;
    let at = from;
    for (;;) {
      let child = CHILDREN * at + 1;
      if (child >= this.#size) break;
      const end = Math.min(child + CHILDREN, this.#size);
      let least = rows[WIDTH * child] as number;
      for (let other = child + 1; other < end; other++) {
        const key = rows[WIDTH * other] as number;
        if (
          key > least ||
          (key === least &&
            (rows[WIDTH * other + SECOND] as number) >= (rows[WIDTH * child + SECOND] as number))
        )
          continue;
        child = other;
        least = key;
      }
      if (least > first || (least === first && (rows[WIDTH * child + SECOND] as number) >= second)) break;
      this.#move(child, at);
      at = child;
    }
    this.#put(item, first, second, at);
  }

  #move(from: number, to: number): void {
    const rows = this.#rows;
    this.#put(
      rows[WIDTH * from + ITEM] as number,
      rows[WIDTH * from] as number,
      rows[WIDTH * from + SECOND] as number,
      to,
    );
  }

  #put(item: number, first: number, second: number, at: number): void {
    const rows = this.#rows;
    rows[WIDTH * at] = first;
    rows[WIDTH * at + SECOND] = second;
    rows[WIDTH * at + ITEM] = item;
  }
}
