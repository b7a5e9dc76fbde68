import fc from 'fast-check';
import { expect, test } from 'vitest';
import { KeyedHeap } from './keyed-heap.ts';

interface Item {
  first: number;
  second: number;
}

const key = { first: fc.nat({ max: 8 }), second: fc.nat({ max: 30 }) };
const act = fc.oneof(
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('push' as const), ...key }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pop' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rekey' as const), ...key }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant('retain' as const), divisor: fc.integer({ min: 2, max: 5 }) }),
  },
);

test('a keyed heap gives, rekeys and retains as a sorted list would', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
      const heap = new KeyedHeap();
      const items: Item[] = [];
      const inside = new Set<Item>();
      for (const one of acts) {
        const top = items[heap.peek()];
        if (one.kind === 'push') {
          const item = { first: one.first, second: one.second };
          heap.push(items.push(item) - 1, item.first, item.second);
          inside.add(item);
        } else if (one.kind === 'pop' && top !== undefined) {
          heap.pop();
          inside.delete(top);
        } else if (one.kind === 'rekey' && top !== undefined) {
          heap.rekeyTop(one.first, one.second);
          Object.assign(top, { first: one.first, second: one.second });
        } else if (one.kind === 'retain') {
          heap.retain((item, first, second) => {
            expect(items[item]).toEqual({ first, second });
            return second % one.divisor > 0;
          });
          for (const item of inside) if (item.second % one.divisor === 0) inside.delete(item);
        }
        const [least] = [...inside].sort((a, b) => a.first - b.first || a.second - b.second);
        expect(heap.size).toBe(inside.size);
        expect([heap.topFirst, heap.topSecond]).toEqual([
          least?.first ?? Infinity,
          least?.second ?? Infinity,
        ]);
        const next = items[heap.peek()];
        expect(next === undefined ? inside.size === 0 : inside.has(next)).toBe(true);
        if (next !== undefined) expect(next).toEqual(least);
      }
    }),
  );
});
