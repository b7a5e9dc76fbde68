import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IdlePool, kindOf, type Demands, type IdleClass } from './idle-pool.ts';
import { Seats } from './seats.ts';

interface Own {
  readonly name: number;
  readonly build: string;
  readonly listSplit: boolean;
  readonly askNano: number;
  lastServed: number;
  isOffered: boolean;
  /** Its number in the table. */
  seat: number;
  order: number;
  speed: number;
  ttftMs: number;
}

const standing = {
  order: fc.integer({ min: -10, max: 5 }),
  speed: fc.oneof(fc.double({ min: 0, max: 100, noNaN: true }), fc.constantFrom(0, 1, 2, 16, 1e9)),
  ttftMs: fc.oneof(fc.double({ min: 0, max: 5_000, noNaN: true }), fc.constantFrom(0, 1, 1_024, 1e9)),
};
const demand = fc.record({
  build: fc.constantFrom(undefined, 'w', 'g', 'none'),
  minSpeed: fc.oneof(fc.double({ min: 0, max: 100, noNaN: true }), fc.constantFrom(0, 1, 2, 16)),
  maxTtftMs: fc.oneof(fc.double({ min: 0, max: 5_000, noNaN: true }), fc.constant(Infinity)),
  maxAskNano: fc
    .tuple(fc.constantFrom(0, 1, 2, 3, 4, 5, 6, Infinity), fc.constantFrom(0, 1, 2))
    .map(([listSplit, more]) => ({ listSplit, anySplit: listSplit + more })),
  refused: fc.func(fc.boolean()),
});
type Demand = typeof demand extends fc.Arbitrary<infer Value> ? Value : never;

const meets = (seat: Own, { build, minSpeed, maxTtftMs, maxAskNano, refused }: Demand): boolean =>
  (build === undefined || seat.build === build) &&
  seat.speed >= minSpeed &&
  seat.ttftMs <= maxTtftMs &&
  seat.askNano <= (seat.listSplit ? maxAskNano.listSplit : maxAskNano.anySplit) &&
  !refused(seat.name);

const demandsOf = (given: Demand): Demands<Own> => ({ ...given, accepts: (seat) => meets(seat, given) });
const anything: Demands<Own> = {
  build: undefined,
  minSpeed: 0,
  maxTtftMs: Infinity,
  maxAskNano: { listSplit: Infinity, anySplit: Infinity },
  accepts: () => true,
};

const inOrder = (seats: Iterable<Own>): Own[] =>
  [...seats].sort((a, b) => a.askNano - b.askNano || b.order - a.order || a.lastServed - b.lastServed);

const seatOf = (name: number, facts: Partial<Own> = {}): Own => ({
  name,
  build: 'w',
  listSplit: true,
  askNano: 1,
  lastServed: name,
  isOffered: false,
  seat: -1,
  order: 1,
  speed: 10,
  ttftMs: 100,
  ...facts,
});

/** A pool and its table, as the dispatcher uses them. */
class Place {
  readonly seats = new Seats<Own, IdleClass>();
  readonly pool = new IdlePool<Own>(this.seats);

  offer(own: Own): void {
    if (own.seat < 0) {
      own.seat = this.seats.add(-1);
      this.seats.assign(own.seat, own, own.askNano);
    }
    own.isOffered = true;
    this.seats.rate(own.seat, own.speed, own.ttftMs);
    this.pool.classify(own.seat, own, kindOf(own.order, own.speed, own.ttftMs));
    this.seats.offer(own.seat, own.lastServed);
  }

  withdraw(own: Own): void {
    own.isOffered = false;
    this.seats.withdraw(own.seat);
  }

  remove(own: Own): void {
    this.withdraw(own);
    this.pool.withdraw(own.seat);
    this.seats.remove(own.seat);
  }

  take(demands: Demands<Own>): Own | undefined {
    const found = this.pool.take(demands);
    if (found !== undefined) this.withdraw(found);
    return found;
  }
}

describe('a pool of idle contributors', () => {
  test('gives the first in order that meets the demands, as looking at all of them would', () => {
    const which = fc.nat();
    const act = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          kind: fc.constant('join' as const),
          build: fc.constantFrom('w', 'g'),
          listSplit: fc.boolean(),
          askNano: fc.integer({ min: 0, max: 5 }),
          ...standing,
        }),
      },
      {
        weight: 1,
        arbitrary: fc.record({ kind: fc.constant('withdraw' as const), which, gone: fc.boolean() }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('offer' as const), which }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('served' as const), which, ...standing }) },
      { weight: 4, arbitrary: fc.record({ kind: fc.constant('take' as const), demand }) },
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 150 }), (acts) => {
        const place = new Place();
        const { pool } = place;
        const seats: Own[] = [];
        let served = 0;
        acts.forEach((one, name) => {
          const chosen = 'which' in one ? seats[one.which % Math.max(1, seats.length)] : undefined;
          if (one.kind === 'join') {
            const { kind: _, ...facts } = one;
            const seat = seatOf(name, facts);
            seat.lastServed = served++;
            seats.push(seat);
            place.offer(seat);
          } else if (one.kind === 'take') {
            const expected = inOrder(seats.filter(({ isOffered }) => isOffered)).find((seat) =>
              meets(seat, one.demand),
            );
            expect(place.take(demandsOf(one.demand))).toBe(expected);
          } else if (chosen !== undefined && one.kind === 'withdraw') {
            place.withdraw(chosen);
            if (!one.gone) return;
            place.remove(chosen);
            seats.splice(seats.indexOf(chosen), 1);
          } else if (chosen !== undefined && one.kind === 'served') {
            // As by way of another pool.
            const { order, speed, ttftMs } = one;
            Object.assign(chosen, { order, speed, ttftMs });
            chosen.lastServed = served++;
            place.offer(chosen);
          } else if (chosen !== undefined) place.offer(chosen);
          expect(pool.size).toBeGreaterThanOrEqual(
            seats.filter(({ seat }) => place.seats.liesSince(seat) >= 0).length,
          );
          expect(pool.size).toBeLessThan(2 * seats.length + 64);
        });
        // Nobody is hidden, and nobody is there twice.
        for (const seat of inOrder(seats.filter(({ isOffered }) => isOffered)))
          expect(place.take(anything)).toBe(seat);
        expect(place.take(anything)).toBeUndefined();
        expect(pool.size).toBe(0);
      }),
    );
  });

  test('looks at hardly any of those that a demand rules out', () => {
    const place = new Place();
    const { pool } = place;
    for (let i = 0; i < 1_000; i++) {
      place.offer(seatOf(3 * i, { speed: 2 }));
      place.offer(seatOf(3 * i + 1, { build: 'g' }));
      place.offer(seatOf(3 * i + 2, { ttftMs: 9_000 }));
    }
    place.offer(seatOf(9_999, { askNano: 2, speed: 20 }));
    let looked = 0;
    const accepts = () => (looked += 1) > 0;
    // Too low a price is seen from the cheapest.
    expect(pool.take({ ...anything, maxAskNano: { listSplit: 0, anySplit: 0 }, accepts })).toBeUndefined();
    expect(looked).toBe(0);
    expect(pool.take({ ...anything, build: 'w', minSpeed: 16, maxTtftMs: 200, accepts })?.name).toBe(9_999);
    expect(looked).toBe(1);
  });

  test('keeps no more than has come and stayed, however often it is offered', () => {
    const place = new Place();
    const { pool } = place;
    const seats = Array.from({ length: 100 }, (_, i) => seatOf(i, { askNano: i % 7 }));
    for (let i = 0; i < 10_000; i++) {
      const seat = seats[i % seats.length] as Own;
      seat.speed = 2 ** (i % 9);
      seat.lastServed = 1_000 + i;
      place.offer(seat);
      expect(pool.size).toBeLessThan(2 * seats.length + 64);
    }
    for (const seat of seats) place.remove(seat);
    expect(pool.size).toBeLessThan(64);
    expect(pool.take(anything)).toBeUndefined();
    expect(pool.size).toBe(0);
  });
});
