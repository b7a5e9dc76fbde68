import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairQueue } from './fair-queue.ts';

interface Item {
  readonly flow: string;
  readonly cost: number;
}

const any = () => true;
const numRuns = process.env['TUSSAH_DEEP'] === '1' ? 2_000 : 100;
const names = ['a', 'b', 'c', 'd'];
const weights = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 4, maxLength: 4 });
const cost = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 5_000 }));

const largest = (items: readonly Item[], flow: string): number =>
  Math.max(0, ...items.filter((item) => item.flow === flow).map((item) => item.cost));

describe('flows that wait all the time', () => {
  test('differ in service by weight by no more than one item of each, over any stretch of time', () => {
    fc.assert(
      fc.property(weights, fc.array(fc.tuple(cost, cost, cost, cost), { minLength: 30 }), (shares, rows) => {
        const queue = new FairQueue<Item>();
        const items = rows.flatMap((row) => row.map((each, i) => ({ flow: names[i] as string, cost: each })));
        for (const item of items)
          queue.push(item, item.flow, item.cost, shares[names.indexOf(item.flow)] as number);
        const history: Item[] = [];
        while (names.every((name) => queue.waitingOf(name) > 0)) history.push(queue.take(any) as Item);
        const weightOf = (flow: string) => shares[names.indexOf(flow)] as number;
        // The greatest difference over any stretch is that between the extremes of the running difference.
        let ahead = 0;
        const differences = [
          0,
          ...history.map(
            (item) =>
              (ahead +=
                ((item.flow === 'a' ? 1 : item.flow === 'b' ? -1 : 0) * item.cost) / weightOf(item.flow)),
          ),
        ];
        const bound = largest(items, 'a') / weightOf('a') + largest(items, 'b') / weightOf('b');
        expect(Math.max(...differences) - Math.min(...differences)).toBeLessThanOrEqual(bound + 1e-6);
      }),
      { numRuns },
    );
  });

  test('get twice as much with twice the weight', () => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 60; i++) {
      queue.push(`heavy${i}`, 'heavy', 10, 2);
      queue.push(`light${i}`, 'light', 10, 1);
    }
    const first = Array.from({ length: 30 }, () => queue.take(any) ?? '');
    expect(first.filter((item) => item.startsWith('heavy'))).toHaveLength(20);
  });
});

describe('a flow', () => {
  test('that comes and goes gains nothing by it, whatever the others do', () => {
    const act = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ kind: fc.constant('push' as const), who: fc.nat({ max: 3 }), cost }),
      },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('take' as const) }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('remove' as const), which: fc.nat() }) },
    );
    fc.assert(
      fc.property(weights, fc.array(act, { minLength: 50, maxLength: 300 }), (shares, acts) => {
        const queue = new FairQueue<Item>();
        const inside = new Set<Item>();
        const all: Item[] = [];
        /** Since when both of a and b have been waiting, and what each has got since then. */
        let got: Record<string, number> = {};
        const weightOf = (flow: string) => shares[names.indexOf(flow)] as number;
        for (const one of acts) {
          if (one.kind === 'push') {
            const item = { flow: names[one.who] as string, cost: one.cost };
            all.push(item);
            inside.add(item);
            queue.push(item, item.flow, item.cost, weightOf(item.flow));
          } else if (one.kind === 'take') {
            const item = queue.take(any);
            if (item === undefined) continue;
            inside.delete(item);
            got[item.flow] = (got[item.flow] ?? 0) + item.cost / weightOf(item.flow);
          } else {
            const item = [...inside][one.which % Math.max(1, inside.size)];
            if (item !== undefined) queue.remove(item);
            if (item !== undefined) inside.delete(item);
          }
          if (queue.waitingOf('a') === 0 || queue.waitingOf('b') === 0) got = {};
          const items = names.map((name) => largest(all, name) / weightOf(name));
          const bound = (items[0] as number) + (items[1] as number) + Math.max(...items);
          expect(Math.abs((got['a'] ?? 0) - (got['b'] ?? 0))).toBeLessThanOrEqual(bound + 1e-6);
        }
      }),
      { numRuns },
    );
  });

  test('that is new is let in at once, however long another has been queueing', () => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 1_000; i++) queue.push(`greedy${i}`, 'greedy', 10, 1);
    for (let i = 0; i < 10; i++) queue.take(any);
    queue.push('new', 'newcomer', 10, 1);
    expect([queue.take(any), queue.take(any)]).toContain('new');
  });

  test('keeps its order, and nothing is lost or doubled', () => {
    const act = fc.oneof(
      fc.record({
        kind: fc.constant('push' as const),
        flow: fc.constantFrom('a', 'b', 'c'),
        group: fc.boolean(),
        cost: fc.integer({ min: 1, max: 50 }),
      }),
      fc.record({ kind: fc.constantFrom('take' as const, 'remove' as const) }),
    );
    fc.assert(
      fc.property(fc.array(act, { maxLength: 200 }), (actions) => {
        const queue = new FairQueue<string>();
        const inside = new Set<string>();
        const lastOf = new Map<string, number>();
        let n = 0;
        for (const one of actions) {
          if (one.kind === 'push') {
            const flow = one.group ? one.flow.toUpperCase() : one.flow;
            const item = `${flow}${n++}`;
            queue.push(item, flow, one.cost, 1, one.group ? 'group' : undefined);
            inside.add(item);
          } else if (one.kind === 'take') {
            const item = queue.take(any);
            expect(item === undefined).toBe(inside.size === 0);
            if (item === undefined) continue;
            expect(inside.delete(item)).toBe(true);
            const order = Number(item.slice(1));
            expect(order).toBeGreaterThan(lastOf.get(item.slice(0, 1)) ?? -1);
            lastOf.set(item.slice(0, 1), order);
          } else {
            const item = [...inside].at(0);
            if (item !== undefined) expect(queue.remove(item)).toBe(inside.delete(item));
          }
          expect(queue.size).toBe(inside.size);
        }
        while (inside.size > 0) expect(inside.delete(queue.take(any) ?? '')).toBe(true);
        expect(queue.known).toBe(0);
      }),
    );
  });
});

describe('what cannot be served', () => {
  test('blocks nobody, of its own flow or another, however much of it there is', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.constantFrom(...names), fc.boolean())), (pushed) => {
        const queue = new FairQueue<Item & { servable: boolean }>();
        for (const [flow, servable] of pushed) queue.push({ flow, cost: 1, servable }, flow, 1, 1);
        const servable = pushed.filter(([, is]) => is).length;
        for (let i = 0; i < servable; i++) expect(queue.take((item) => item.servable)).toBeDefined();
        expect(queue.take((item) => item.servable)).toBeUndefined();
        expect(queue.size).toBe(pushed.length - servable);
      }),
    );
    const queue = new FairQueue<number>();
    for (let i = 0; i < 1_000; i++) queue.push(i, `flow${i % 7}`, 1, 1);
    expect(queue.take((item) => item === 999)).toBe(999);
  });

  test('keeps its turn for when it can be', () => {
    const queue = new FairQueue<string>();
    queue.push('demanding', 'a', 10, 1);
    for (let i = 0; i < 10; i++) queue.push(`b${i}`, 'b', 10, 1);
    for (let i = 0; i < 5; i++) expect(queue.take((item) => item !== 'demanding')).toBe(`b${i}`);
    expect(queue.take(any)).toBe('demanding');
  });
});

describe('an endless row of new flows', () => {
  const room = 20;
  const small = 10;

  test.each([1, 10, 200])('does not starve one that waits with items of cost %i', (own) => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 30; i++) queue.push(`patient${i}`, 'patient', own, 1);
    let serial = 0;
    let patient = 0;
    const rounds = 20 * (room + 1) * Math.max(1, own / small);
    for (let i = 0; i < rounds; i++) {
      while (queue.size - queue.waitingOf('patient') < room)
        queue.push(`new${serial}`, `new${serial++}`, small, 1);
      if (queue.take(any)?.startsWith('patient') === true) patient += 1;
    }
    // An equal share of so much are 20 items.
    expect(patient).toBeGreaterThanOrEqual(18);
    // Nor are they remembered for long.
    expect(queue.known).toBeLessThan(2 * room);
  });
});

describe('a group', () => {
  test('has the share of one flow however many flows it has, and its own share it fairly', () => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 300; i++) queue.push(`account${i}`, 'account', 10, 1);
    for (let i = 0; i < 300; i++)
      queue.push(`guest${i % 30}`.padEnd(20) + String(i), `network${i % 30}`, 10, 1, 'guests');
    const first = Array.from({ length: 120 }, () => queue.take(any) ?? '');
    expect(first.filter((item) => item.startsWith('account'))).toHaveLength(60);
    const byNetwork = Map.groupBy(
      first.filter((item) => item.startsWith('guest')),
      (item) => item.slice(0, 20),
    );
    expect([...byNetwork.values()].map((items) => items.length)).toEqual(Array.from({ length: 30 }, () => 2));
    expect(queue.waitingOf('guests')).toBe(240);
  });

  test('has everything when nobody else waits', () => {
    const queue = new FairQueue<number>();
    for (let i = 0; i < 5; i++) queue.push(i, `network${i}`, 10, 1, 'guests');
    expect(Array.from({ length: 5 }, () => queue.take(any))).toEqual([0, 1, 2, 3, 4]);
  });
});

test('what goes before all others does, and is looked past when it cannot be served', () => {
  const queue = new FairQueue<string>();
  queue.push('waiting', 'a', 1, 1);
  queue.pushFirst('cut');
  expect(queue.take((item) => item !== 'cut')).toBe('waiting');
  queue.push('later', 'a', 1, 1);
  expect(queue.take(any)).toBe('cut');
  queue.pushFirst('cut again');
  expect(queue.remove('cut again')).toBe(true);
  expect(queue.remove('cut again')).toBe(false);
  expect(queue.size).toBe(1);
});
