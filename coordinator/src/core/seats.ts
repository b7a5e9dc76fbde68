/**
 * The seats of all idle pools: a row of numbers each, in one table. A decision is about somebody else each time, so that most
 * of its cost would be visits to objects that lie far apart; a row is one visit, and the seats of a holder are often
 * neighbours.
 *
 * Who holds seats, in one pool or several, knows the first of them; each knows the next.
 */

/** Columns. */
const WIDTH = 7;
/** The price asked. */
const ASK = 0;
/** The holder's order of service while it may be taken from the pools, else -1. */
const STANDING = 1;
/** The order of service by which the seat lies in its class; -1 when it lies nowhere. */
const LIES_SINCE = 2;
/** The number of its class; -1 for none yet. */
const CLASS = 3;
/** The holder's next seat; -1 for none. */
const NEXT = 4;
/** In tokens a second. */
const SPEED = 5;
/** Time to the first token. */
const TTFT_MS = 6;

/** Where seats lie. */
export interface SeatClass {
  /** To be called with a seat of the class that lies nowhere, and whose holder may be taken now. */
  enter(seat: number): void;
}

export class Seats<Item, Class extends SeatClass> {
  #rows = new Float64Array(64 * WIDTH);
  /** Undefined where a row is free. */
  readonly #items: (Item | undefined)[] = [];
  readonly #free: number[] = [];
  readonly #classes: Class[] = [];

  /** Makes a seat of whoever holds the seat `next` and those after it; -1 when there are none. */
  add(next: number): number {
    const seat = this.#free.pop() ?? this.#items.length;
    if (seat === this.#items.length) {
      this.#items.push(undefined);
      if (this.#items.length * WIDTH > this.#rows.length) {
        const rows = new Float64Array(2 * this.#rows.length);
        rows.set(this.#rows);
        this.#rows = rows;
      }
    }
    this.#rows[seat * WIDTH + STANDING] = -1;
    this.#rows[seat * WIDTH + NEXT] = next;
    return seat;
  }

  /** Says what a seat that lies nowhere stands for, from now on. */
  assign(seat: number, item: Item, ask: number): void {
    this.#items[seat] = item;
    const row = seat * WIDTH;
    this.#rows[row + ASK] = ask;
    this.#rows[row + LIES_SINCE] = -1;
    this.#rows[row + CLASS] = -1;
  }

  /** Frees the row of a seat that lies nowhere. */
  remove(seat: number): void {
    this.#items[seat] = undefined;
    this.#free.push(seat);
  }

  /** Offers a holder's seats, all of which must have a class. No two holders have the same order of service. */
  offer(first: number, lastServed: number): void {
    const rows = this.#rows;
    for (let seat = first; seat >= 0; seat = rows[seat * WIDTH + NEXT] as number) {
      const row = seat * WIDTH;
      rows[row + STANDING] = lastServed;
      if ((rows[row + LIES_SINCE] as number) < 0) this.classOf(seat)?.enter(seat);
    }
  }

  /** A holder's seats may not be taken from now on. */
  withdraw(first: number): void {
    const rows = this.#rows;
    for (let seat = first; seat >= 0; seat = rows[seat * WIDTH + NEXT] as number)
      rows[seat * WIDTH + STANDING] = -1;
  }

  item(seat: number): Item {
    return this.#items[seat] as Item;
  }

  ask(seat: number): number {
    return this.#rows[seat * WIDTH + ASK] as number;
  }

  standing(seat: number): number {
    return this.#rows[seat * WIDTH + STANDING] as number;
  }

  liesSince(seat: number): number {
    return this.#rows[seat * WIDTH + LIES_SINCE] as number;
  }

  /** Notes by which order of service a seat lies in its class; -1 for nowhere. */
  lies(seat: number, since: number): void {
    this.#rows[seat * WIDTH + LIES_SINCE] = since;
  }

  classOf(seat: number): Class | undefined {
    return this.#classes[this.#rows[seat * WIDTH + CLASS] as number];
  }

  /** Gives a seat that lies nowhere its class. */
  classify(seat: number, number: number): void {
    this.#rows[seat * WIDTH + CLASS] = number;
  }

  /** Notes how fast a seat's holder is with it. */
  rate(seat: number, speed: number, ttftMs: number): void {
    this.#rows[seat * WIDTH + SPEED] = speed;
    this.#rows[seat * WIDTH + TTFT_MS] = ttftMs;
  }

  /** The same for all seats of a holder. */
  rateAll(first: number, speed: number, ttftMs: number): void {
    const rows = this.#rows;
    for (let seat = first; seat >= 0; seat = rows[seat * WIDTH + NEXT] as number)
      this.rate(seat, speed, ttftMs);
  }

  isAsFast(seat: number, minSpeed: number, maxTtftMs: number): boolean {
    const row = seat * WIDTH;
    return (
      (this.#rows[row + SPEED] as number) >= minSpeed && (this.#rows[row + TTFT_MS] as number) <= maxTtftMs
    );
  }

  /** Returns the number of a new class. */
  addClass(fresh: Class): number {
    return this.#classes.push(fresh) - 1;
  }

  isOf(seat: number, number: number): boolean {
    return this.#rows[seat * WIDTH + CLASS] === number;
  }
}
