import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairQueue } from './fair-queue.ts';
import { Heap } from './heap.ts';

const any = () => true;

test('a heap gives everything back in order', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (items) => {
      const heap = new Heap<number>((a, b) => a < b);
      for (const item of items) heap.push(item);
      const out = items.map(() => heap.pop());
      expect(out).toEqual([...items].sort((a, b) => a - b));
      expect(heap.pop()).toBeUndefined();
    }),
  );
});

describe('a fair queue', () => {
  test('serves flows in proportion to their weights while both wait', () => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 60; i++) {
      queue.push(`heavy${i}`, 'heavy', 10, 2);
      queue.push(`light${i}`, 'light', 10, 1);
    }
    const first = Array.from({ length: 30 }, () => queue.take(any) ?? '');
    expect(first.filter((item) => item.startsWith('heavy'))).toHaveLength(20);
  });

  test('lets a newcomer in at once, however long another has been queueing', () => {
    const queue = new FairQueue<string>();
    for (let i = 0; i < 1_000; i++) queue.push(`greedy${i}`, 'greedy', 10, 1);
    for (let i = 0; i < 10; i++) queue.take(any);
    queue.push('new', 'newcomer', 10, 1);
    expect([queue.take(any), queue.take(any)]).toContain('new');
  });

  test('keeps the order within a flow and loses or doubles nothing', () => {
    const action = fc.oneof(
      fc.record({
        kind: fc.constant('push' as const),
        flow: fc.constantFrom('a', 'b', 'c'),
        cost: fc.integer({ min: 1, max: 50 }),
      }),
      fc.record({ kind: fc.constantFrom('take' as const, 'remove' as const) }),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
        const queue = new FairQueue<string>();
        const inside = new Set<string>();
        const lastOf = new Map<string, number>();
        let n = 0;
        for (const act of actions) {
          if (act.kind === 'push') {
            const item = `${act.flow}${n++}`;
            queue.push(item, act.flow, act.cost, 1);
            inside.add(item);
          } else if (act.kind === 'take') {
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
      }),
    );
  });

  test('looks past what is not wanted, but not for ever', () => {
    const queue = new FairQueue<number>();
    for (let i = 0; i < 100; i++) queue.push(i, 'a', 1, 1);
    expect(queue.take((item) => item === 20)).toBe(20);
    expect(queue.take((item) => item === 90)).toBeUndefined();
    expect(queue.take(any)).toBe(0);
    expect(queue.size).toBe(98);
  });
});
