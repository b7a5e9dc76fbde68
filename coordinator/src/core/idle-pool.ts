/**
 * The idle contributors of one model, in classes of the same build and order, and about the same speed and time to the first
 * token. Each class is a heap; the beginnings of all are copied side by side, so that the best class is found at a glance, and
 * what a job demands is answered by whole classes. Only in classes that a demand cuts through are seats looked at one by one.
 *
 * A seat is one contributor's place in a pool, with one build: a row in the table of all seats (`seats.ts`), by whose number it
 * lies in the heap. It lies there for as long as its class stays the same, whether its holder may be taken or not. It is put
 * right when it comes up: one whose holder has been busy since leaves, or moves back. That is enough because a key only ever
 * gets worse, and it makes taking and offering a matter of one heap. What moved to another class, or left for good, stays
 * behind dead until it comes up, or until the dead outnumber the others, when all are swept out.
 *
 * With n seats in c classes (some tens in practice), offering one costs O(log n), and `take` O((k + 1)(c + log n)), for k seats
 * that were refused one by one before the one found; both amortized over sweeps, and over what was put right.
 */
import { KeyedHeap } from './keyed-heap.ts';
import type { SeatClass, Seats } from './seats.ts';

/** What a job demands. */
export interface Demands<Item> {
  /** Undefined is any. */
  readonly build: string | undefined;
  /** In tokens a second. */
  readonly minSpeed: number;
  readonly maxTtftMs: number;
  /** Nobody who asks more will do; by whether the price is split as the list price is. */
  readonly maxAskNano: { readonly listSplit: number; readonly anySplit: number };
  /** The last word on a seat, its class and price being suitable. */
  accepts(seat: Item): boolean;
}

/** What a seat is for. */
export interface Ware {
  readonly build: string;
  /** Whether its price is split between prompt and completion as the list price is. */
  readonly listSplit: boolean;
}

const OCTAVES = 20;
/** Orders of speed and reliability are from -16 to 15. */
const ORDERS = 32;
/** 0 below 1, then one more with each doubling. */
const octave = (value: number): number => 32 - Math.clz32(Math.min(value, 2 ** (OCTAVES - 2)));
const doubleOctave = (value: number): number => octave(value) >> 1;
/**
 * Names a class, but for what it is for: `order` is a whole number by which the better is preferred among those who ask the same,
 * `speed` is in tokens a second, and `ttftMs` 0 when unknown.
 */
export const kindOf = (order: number, speed: number, ttftMs: number): number =>
  (octave(speed) * OCTAVES + doubleOctave(ttftMs)) * ORDERS + order + ORDERS / 2;

/**
 * Seats of one build, split of price and order, whose speeds are within a factor of two, and times to the first token within four: by price
 * asked, then by who served longest ago.
 */
export class IdleClass extends KeyedHeap implements SeatClass {
  readonly build: string;
  readonly listSplit: boolean;
  readonly kind: number;
  /** Its row in the glance. */
  readonly at: number;
  /** Its number among the classes of all pools. */
  number = -1;
  readonly #pool: Entered;

  constructor({ build, listSplit }: Ware, kind: number, at: number, pool: Entered) {
    super();
    this.build = build;
    this.listSplit = listSplit;
    this.kind = kind;
    this.at = at;
    this.#pool = pool;
  }

  enter(seat: number): void {
    this.#pool.enter(this, seat);
  }
}

interface Entered {
  enter(to: IdleClass, seat: number): void;
}

/** Few enough not to be worth a sweep. */
const SWEEP_MIN = 64;

/** Columns of the glance: the beginning of a class, and what bounds it. */
const WIDTH = 6;
const ASK = 0;
const ORDER = 1;
const SERVED = 2;
const SPEED_BELOW = 3;
const TTFT_FROM = 4;
const LIST_SPLIT = 5;

export class IdlePool<Item> {
  readonly #seats: Seats<Item, IdleClass>;
  /** Those without seats stay: there are as many as there are kinds at most. */
  readonly #classes: IdleClass[] = [];
  /** A row a class. The order is negated, so that less is better. */
  #glance = new Float64Array(8 * WIDTH);
  #size = 0;
  #dead = 0;
  /** Taken out by `take` and not wanted. */
  readonly #refused: number[] = [];

  constructor(seats: Seats<Item, IdleClass>) {
    this.#seats = seats;
  }

  /** Seats, dead ones included: less than twice as many as are not dead, and some. */
  get size(): number {
    return this.#size;
  }

  /** Says what a seat is for, and of which kind, from the next time on that it is offered. */
  classify(seat: number, ware: Ware, kind: number): void {
    if (this.#seats.classOf(seat)?.kind === kind) return;
    this.withdraw(seat);
    this.#seats.classify(seat, this.#classOf(ware, kind).number);
  }

  /** Takes a seat out of its class; it may be offered again. */
  withdraw(seat: number): void {
    if (this.#seats.liesSince(seat) < 0) return;
    this.#seats.lies(seat, -1);
    this.#dead += 1;
    if (2 * this.#dead >= this.#size + SWEEP_MIN) this.#sweep();
  }

  /** Takes the best seat that meets the demands: the cheapest, then the better order, then who served longest ago. */
  take(demands: Demands<Item>): Item | undefined {
    let found: Item | undefined;
    for (let first = this.#first(demands); first !== undefined; first = this.#first(demands)) {
      const seat = this.#settledTop(first);
      if (seat < 0) continue;
      this.#pop(first);
      if (this.#seats.isAsFast(seat, demands.minSpeed, demands.maxTtftMs)) {
        const item = this.#seats.item(seat);
        if (demands.accepts(item)) {
          this.#seats.lies(seat, -1);
          found = item;
          break;
        }
      }
      this.#refused.push(seat);
    }
    for (let seat = this.#refused.pop(); seat !== undefined; seat = this.#refused.pop())
      this.enter(this.#seats.classOf(seat) as IdleClass, seat);
    return found;
  }

  /** The class that begins best of those that may suit. */
  #first({ build, minSpeed, maxTtftMs, maxAskNano }: Demands<Item>): IdleClass | undefined {
    const glance = this.#glance;
    const classes = this.#classes;
    let best: IdleClass | undefined;
    const { listSplit, anySplit } = maxAskNano;
    let bestAsk = anySplit;
    let bestOrder = Infinity;
    let bestServed = Infinity;
    for (let i = 0, row = 0; i < classes.length; i++, row += WIDTH) {
      const ask = glance[row + ASK] as number;
      if (ask > bestAsk) continue;
      const order = glance[row + ORDER] as number;
      const served = glance[row + SERVED] as number;
      if (ask === bestAsk && (order > bestOrder || (order === bestOrder && served >= bestServed))) continue;
      if (ask > listSplit && glance[row + LIST_SPLIT] === 1) continue;
      if (
        (glance[row + SPEED_BELOW] as number) <= minSpeed ||
        (glance[row + TTFT_FROM] as number) > maxTtftMs
      )
        continue;
      const each = classes[i] as IdleClass;
      if (ask === Infinity || (build !== undefined && build !== each.build)) continue;
      best = each;
      bestAsk = ask;
      bestOrder = order;
      bestServed = served;
    }
    return best;
  }

  /** The first seat of a class, if it is alive, its holder on offer, and its key right; else puts it right, and returns -1. */
  #settledTop(first: IdleClass): number {
    const seats = this.#seats;
    const seat = first.peek();
    const since = first.topSecond;
    if (this.#isDead(first, seat, first.topFirst, since)) this.#dead -= 1;
    else {
      const standing = seats.standing(seat);
      if (standing === since) return seat;
      seats.lies(seat, standing);
      if (standing >= 0) {
        first.rekeyTop(first.topFirst, standing);
        this.#note(first);
        return -1;
      }
    }
    this.#pop(first);
    return -1;
  }

  /** Whether what lies there is not the seat's place any more. */
  #isDead({ number }: IdleClass, seat: number, ask: number, since: number): boolean {
    const seats = this.#seats;
    return seats.liesSince(seat) !== since || !seats.isOf(seat, number) || seats.ask(seat) !== ask;
  }

  /** To be called by its classes only. */
  enter(to: IdleClass, seat: number): void {
    const standing = this.#seats.standing(seat);
    this.#seats.lies(seat, standing);
    to.push(seat, this.#seats.ask(seat), standing);
    this.#size += 1;
    this.#note(to);
  }

  #pop(from: IdleClass): void {
    from.pop();
    this.#size -= 1;
    this.#note(from);
  }

  /** Copies the beginning of a class. */
  #note({ at, topFirst, topSecond }: IdleClass): void {
    this.#glance[at * WIDTH + ASK] = topFirst;
    this.#glance[at * WIDTH + SERVED] = topSecond;
  }

  /** Drops the dead. */
  #sweep(): void {
    this.#dead = 0;
    this.#size = 0;
    for (const each of this.#classes) {
      each.retain((seat, ask, since) => !this.#isDead(each, seat, ask, since));
      this.#size += each.size;
      this.#note(each);
    }
  }

  #classOf(ware: Ware, kind: number): IdleClass {
    for (const each of this.#classes)
      if (each.kind === kind && each.build === ware.build && each.listSplit === ware.listSplit) return each;
    const at = this.#classes.length;
    const fresh = new IdleClass(ware, kind, at, this);
    fresh.number = this.#seats.addClass(fresh);
    this.#classes.push(fresh);
    if ((at + 1) * WIDTH > this.#glance.length) {
      const wider = new Float64Array(2 * this.#glance.length);
      wider.set(this.#glance);
      this.#glance = wider;
    }
    const speed = Math.floor(kind / ORDERS / OCTAVES);
    const ttft = Math.floor(kind / ORDERS) % OCTAVES;
    const row = at * WIDTH;
    this.#glance[row + LIST_SPLIT] = ware.listSplit ? 1 : 0;
    this.#glance[row + ASK] = Infinity;
    this.#glance[row + ORDER] = ORDERS / 2 - (kind % ORDERS);
    this.#glance[row + SERVED] = Infinity;
    this.#glance[row + SPEED_BELOW] = speed === OCTAVES - 1 ? Infinity : 2 ** speed;
    this.#glance[row + TTFT_FROM] = ttft === 0 ? 0 : 2 ** (2 * ttft - 1);
    return fresh;
  }
}
