import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { IdlePool, kindOf, type Demands, type Seat } from './idle-pool.ts';

interface Own extends Seat {
  readonly name: number;
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
  maxAskNano: fc.constantFrom(0, 1, 2, 3, 4, 5, 6, Infinity),
  refused: fc.func(fc.boolean()),
});
type Demand = typeof demand extends fc.Arbitrary<infer Value> ? Value : never;

const meets = (seat: Own, { build, minSpeed, maxTtftMs, maxAskNano, refused }: Demand): boolean =>
  (build === undefined || seat.build === build) &&
  seat.speed >= minSpeed &&
  seat.ttftMs <= maxTtftMs &&
  seat.askNano <= maxAskNano &&
  !refused(seat.name);

const demandsOf = (given: Demand): Demands<Own> => ({ ...given, accepts: (seat) => meets(seat, given) });
const anything: Demands<Own> = {
  build: undefined,
  minSpeed: 0,
  maxTtftMs: Infinity,
  maxAskNano: Infinity,
  accepts: () => true,
};

const inOrder = (seats: Iterable<Own>): Own[] =>
  [...seats].sort(
    (a, b) => a.askNano - b.askNano || b.order - a.order || a.holder.lastServed - b.holder.lastServed,
  );

const seatOf = (name: number, facts: Partial<Own> = {}): Own => ({
  name,
  holder: { offered: false, lastServed: name, away: 1 },
  bit: 1,
  build: 'w',
  askNano: 1,
  order: 1,
  speed: 10,
  ttftMs: 100,
  idleClass: null,
  liesSince: -1,
  ...facts,
});

function offer(pool: IdlePool<Own>, seat: Own): void {
  seat.holder.offered = true;
  pool.offer(seat, kindOf(seat.order, seat.speed, seat.ttftMs));
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
        const pool = new IdlePool<Own>();
        const seats: Own[] = [];
        let served = 0;
        acts.forEach((one, name) => {
          const chosen = 'which' in one ? seats[one.which % Math.max(1, seats.length)] : undefined;
          if (one.kind === 'join') {
            const { kind: _, ...facts } = one;
            const seat = seatOf(name, facts);
            seat.holder.lastServed = served++;
            seats.push(seat);
            offer(pool, seat);
          } else if (one.kind === 'take') {
            const expected = inOrder(seats.filter(({ holder }) => holder.offered)).find((seat) =>
              meets(seat, one.demand),
            );
            expect(pool.take(demandsOf(one.demand))).toBe(expected);
            if (expected !== undefined) expected.holder.offered = false;
          } else if (chosen !== undefined && one.kind === 'withdraw') {
            chosen.holder.offered = false;
            if (!one.gone) return;
            pool.left(chosen);
            seats.splice(seats.indexOf(chosen), 1);
          } else if (chosen !== undefined && one.kind === 'served') {
            // As by way of another pool.
            const { order, speed, ttftMs } = one;
            Object.assign(chosen, { order, speed, ttftMs });
            chosen.holder.lastServed = served++;
            offer(pool, chosen);
          } else if (chosen !== undefined) offer(pool, chosen);
          expect(seats.every(({ holder, liesSince }) => (holder.away === 0) === liesSince >= 0)).toBe(true);
          expect(pool.size).toBeGreaterThanOrEqual(seats.filter(({ liesSince }) => liesSince >= 0).length);
          expect(pool.size).toBeLessThan(2 * seats.length + 64);
        });
        // Nobody is hidden, and nobody is there twice.
        for (const seat of inOrder(seats.filter(({ holder }) => holder.offered))) {
          expect(pool.take(anything)).toBe(seat);
          seat.holder.offered = false;
        }
        expect(pool.take(anything)).toBeUndefined();
        expect(pool.size).toBe(0);
      }),
    );
  });

  test('looks at hardly any of those that a demand rules out', () => {
    const pool = new IdlePool<Own>();
    for (let i = 0; i < 1_000; i++) {
      offer(pool, seatOf(3 * i, { speed: 2 }));
      offer(pool, seatOf(3 * i + 1, { build: 'g' }));
      offer(pool, seatOf(3 * i + 2, { ttftMs: 9_000 }));
    }
    offer(pool, seatOf(9_999, { askNano: 2, speed: 20 }));
    let looked = 0;
    const accepts = () => (looked += 1) > 0;
    // Too low a price is seen from the cheapest.
    expect(pool.take({ ...anything, maxAskNano: 0, accepts })).toBeUndefined();
    expect(looked).toBe(0);
    expect(pool.take({ ...anything, build: 'w', minSpeed: 16, maxTtftMs: 200, accepts })?.name).toBe(9_999);
    expect(looked).toBe(1);
  });

  test('keeps no more than has come and stayed, however often it is offered', () => {
    const pool = new IdlePool<Own>();
    const seats = Array.from({ length: 100 }, (_, i) => seatOf(i, { askNano: i % 7 }));
    for (let i = 0; i < 10_000; i++) {
      const seat = seats[i % seats.length] as Own;
      seat.speed = 2 ** (i % 9);
      seat.holder.lastServed = 1_000 + i;
      offer(pool, seat);
      expect(pool.size).toBeLessThan(2 * seats.length + 64);
    }
    for (const seat of seats) {
      seat.holder.offered = false;
      pool.left(seat);
    }
    expect(pool.size).toBeLessThan(64);
    expect(pool.take(anything)).toBeUndefined();
    expect(pool.size).toBe(0);
  });
});
