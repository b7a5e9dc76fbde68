/**
 * The idle contributors of one model, in classes of the same build and order, and about the same speed and time to the first
 * token. Each class is a heap; the beginnings of all are copied side by side, so that the best class is found at a glance, and
 * what a job demands is answered by whole classes. Only in classes that a demand cuts through are seats looked at one by one.
 *
 * A seat lies in one heap for as long as its class stays the same, whether its holder is idle or not. It is put right when it
 * comes up: one whose holder has been busy since leaves, or moves back. That is enough because a key only ever gets worse, and
 * it makes taking and offering a matter of one heap. What moved to another class, or left for good, stays behind dead until it
 * comes up, or until the dead outnumber the others, when all are swept out.
 *
 * With n seats in c classes (some tens in practice), `offer` costs O(log n), and `take` O((k + 1)(c + log n)), for k seats that
 * were refused one by one before the one found; both amortized over sweeps, and over what was put right.
 */
import { KeyedHeap } from './keyed-heap.ts';

/** Who holds seats, in one pool or several. */
export interface Holder {
  /** Whether it may be taken from the pools. */
  offered: boolean;
  /** Order of service. Grows whenever something changes by which the holder's seats are classed. */
  lastServed: number;
  /** Bits of its seats that lie in no heap. */
  away: number;
}

/** One holder's place in a pool, with one build. */
export interface Seat {
  readonly holder: Holder;
  /** Its own among its holder's seats. */
  readonly bit: number;
  readonly build: string;
  /** The price asked, prompt and completion together, in nanoTON per million tokens: for the order only, hence a number. */
  readonly askNano: number;
  /** Kept by the pool: the class in which it lies or lay last. */
  idleClass: IdleClass | null;
  /** Kept by the pool: `lastServed` with which it lies there; -1 when it lies nowhere. */
  liesSince: number;
}

/** What a job demands. */
export interface Demands<Item> {
  /** Undefined is any. */
  readonly build: string | undefined;
  /** In tokens a second. */
  readonly minSpeed: number;
  readonly maxTtftMs: number;
  /** Nobody who asks more will do. */
  readonly maxAskNano: number;
  /** The last word on a seat, its class and price being suitable. */
  accepts(seat: Item): boolean;
}

const OCTAVES = 20;
/** Orders of speed and reliability are from -16 to 15. */
const ORDERS = 32;
/** 0 below 1, then one more with each doubling. */
const octave = (value: number): number => 32 - Math.clz32(Math.min(value, 2 ** (OCTAVES - 2)));
const doubleOctave = (value: number): number => octave(value) >> 1;

/**
 * Names a class, but for its build: `order` is a whole number by which the better is preferred among those who ask the same,
 * `speed` is in tokens a second, and `ttftMs` 0 when unknown.
 */
export const kindOf = (order: number, speed: number, ttftMs: number): number =>
  (octave(speed) * OCTAVES + doubleOctave(ttftMs)) * ORDERS + order + ORDERS / 2;

/**
 * Seats of one build and order, whose speeds are within a factor of two, and times to the first token within four: by price
 * asked, then by who served longest ago.
 */
class IdleClass extends KeyedHeap<Seat> {
  readonly build: string;
  readonly kind: number;
  /** Its row in the glance. */
  readonly at: number;

  constructor(build: string, kind: number, at: number) {
    super();
    this.build = build;
    this.kind = kind;
    this.at = at;
  }
}

/** Few enough not to be worth a sweep. */
const SWEEP_MIN = 64;

/** Columns of the glance: the beginning of a class, and what bounds it. */
const WIDTH = 5;
const ASK = 0;
const ORDER = 1;
const SERVED = 2;
const SPEED_BELOW = 3;
const TTFT_FROM = 4;

export class IdlePool<Item extends Seat> {
  /** Those without seats stay: there are as many as there are kinds at most. */
  readonly #classes: IdleClass[] = [];
  /** A row a class. The order is negated, so that less is better. */
  #glance = new Float64Array(8 * WIDTH);
  #size = 0;
  #dead = 0;
  /** Taken out by `take` and not wanted. */
  readonly #refused: Seat[] = [];

  /** Seats, dead ones included: less than twice as many as are not dead, and some. */
  get size(): number {
    return this.#size;
  }

  /** To be called for each seat of a holder that has become idle. */
  offer(seat: Item, kind: number): void {
    const known = seat.idleClass;
    const lies = seat.liesSince >= 0;
    if (known?.kind === kind) {
      if (!lies) this.#push(known, seat);
      return;
    }
    seat.idleClass = this.#classOf(seat.build, kind);
    this.#push(seat.idleClass, seat);
    if (lies) this.#died();
  }

  /** To be called when a seat is given up for good. */
  left(seat: Item): void {
    if (seat.liesSince < 0) return;
    goAway(seat);
    this.#died();
  }

  /** Takes the best seat that meets the demands: the cheapest, then the better order, then who served longest ago. */
  take(demands: Demands<Item>): Item | undefined {
    let found: Item | undefined;
    for (let first = this.#first(demands); first !== undefined; first = this.#first(demands)) {
      const seat = this.#settledTop(first);
      if (seat === undefined) continue;
      this.#pop(first);
      if (demands.accepts(seat as Item)) {
        goAway(seat);
        found = seat as Item;
        break;
      }
      this.#refused.push(seat);
    }
    for (let seat = this.#refused.pop(); seat !== undefined; seat = this.#refused.pop())
      this.#push(seat.idleClass as IdleClass, seat);
    return found;
  }

  /** The class that begins best of those that may suit. */
  #first({ build, minSpeed, maxTtftMs, maxAskNano }: Demands<Item>): IdleClass | undefined {
    const glance = this.#glance;
    const classes = this.#classes;
    let best: IdleClass | undefined;
    let bestAsk = maxAskNano;
    let bestOrder = Infinity;
    let bestServed = Infinity;
    for (let i = 0, row = 0; i < classes.length; i++, row += WIDTH) {
      const ask = glance[row + ASK] as number;
      if (ask > bestAsk) continue;
      const order = glance[row + ORDER] as number;
      const served = glance[row + SERVED] as number;
      if (ask === bestAsk && (order > bestOrder || (order === bestOrder && served >= bestServed))) continue;
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

  /** The first seat of a class, if it is alive, its holder on offer, and its key right; else puts it right. */
  #settledTop(first: IdleClass): Seat | undefined {
    const seat = first.peek() as Seat;
    const since = first.topSecond;
    if (isDead(first, seat, since)) this.#dead -= 1;
    else {
      const { offered, lastServed } = seat.holder;
      if (offered && lastServed === since) return seat;
      if (offered) {
        seat.liesSince = lastServed;
        first.rekeyTop(seat.askNano, lastServed);
        this.#note(first);
        return undefined;
      }
      goAway(seat);
    }
    this.#pop(first);
    return undefined;
  }

  #push(to: IdleClass, seat: Seat): void {
    seat.liesSince = seat.holder.lastServed;
    seat.holder.away &= ~seat.bit;
    to.push(seat, seat.askNano, seat.liesSince);
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

  #died(): void {
    this.#dead += 1;
    if (2 * this.#dead < this.#size + SWEEP_MIN) return;
    this.#dead = 0;
    this.#size = 0;
    for (const each of this.#classes) {
      each.retain((seat, _ask, since) => !isDead(each, seat, since));
      this.#size += each.size;
      this.#note(each);
    }
  }

  #classOf(build: string, kind: number): IdleClass {
    for (const each of this.#classes) if (each.kind === kind && each.build === build) return each;
    const at = this.#classes.length;
    const fresh = new IdleClass(build, kind, at);
    this.#classes.push(fresh);
    if ((at + 1) * WIDTH > this.#glance.length) {
      const wider = new Float64Array(2 * this.#glance.length);
      wider.set(this.#glance);
      this.#glance = wider;
    }
    const speed = Math.floor(kind / ORDERS / OCTAVES);
    const ttft = Math.floor(kind / ORDERS) % OCTAVES;
    const row = at * WIDTH;
    this.#glance[row + ASK] = Infinity;
    this.#glance[row + ORDER] = ORDERS / 2 - (kind % ORDERS);
    this.#glance[row + SERVED] = Infinity;
    this.#glance[row + SPEED_BELOW] = speed === OCTAVES - 1 ? Infinity : 2 ** speed;
    this.#glance[row + TTFT_FROM] = ttft === 0 ? 0 : 2 ** (2 * ttft - 1);
    return fresh;
  }
}

/** Whether what lies there is not the seat's place any more. */
const isDead = (within: IdleClass, { idleClass, liesSince }: Seat, since: number): boolean =>
  idleClass !== within || liesSince !== since;

/** Notes that a seat lies nowhere. */
function goAway(seat: Seat): void {
  seat.liesSince = -1;
  seat.holder.away |= seat.bit;
}
