import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Heap } from './heap.ts';

interface Item {
  key: number;
  readonly serial: number;
  place: number;
}

const before = (a: Item, b: Item): boolean => a.key < b.key || (a.key === b.key && a.serial < b.serial);
const inOrder = (items: Iterable<Item>): Item[] => [...items].sort((a, b) => (before(a, b) ? -1 : 1));

const act = fc.oneof(
  fc.record({ kind: fc.constant('push' as const), key: fc.nat({ max: 20 }) }),
  fc.record({ kind: fc.constant('move' as const), which: fc.nat(), key: fc.nat({ max: 20 }) }),
  fc.record({
    kind: fc.constantFrom('pop' as const, 'remove' as const),
    which: fc.nat(),
  }),
);

test('a heap gives, moves and removes as a sorted list would, and knows each place', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 200 }), (acts) => {
      const heap = new Heap<Item>(before);
      const inside = new Set<Item>();
      acts.forEach((one, serial) => {
        const chosen = 'which' in one ? [...inside][one.which % Math.max(1, inside.size)] : undefined;
        if (one.kind === 'push') {
          const item = { key: one.key, serial, place: -1 };
          heap.push(item);
          inside.add(item);
        } else if (one.kind === 'pop') {
          const popped = heap.pop();
          expect(popped).toBe(inOrder(inside)[0]);
          if (popped !== undefined) inside.delete(popped);
        } else if (chosen !== undefined && one.kind === 'move') {
          chosen.key = one.key;
          heap.moved(chosen);
        } else if (chosen !== undefined) {
          heap.remove(chosen);
          inside.delete(chosen);
          expect(chosen.place).toBe(-1);
        }
        expect(heap.size).toBe(inside.size);
        expect(heap.peek()).toBe(inOrder(inside)[0]);
      });
    }),
  );
});

test('a heap finds the first that is accepted, and looks at none after it', () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 30 })), fc.func(fc.boolean()), (keys, accepts) => {
      const heap = new Heap<Item>(before);
      const items = keys.map((key, serial) => ({ key, serial, place: -1 }));
      for (const item of items) heap.push(item);
      const looked: Item[] = [];
      const found = heap.first((item) => {
        looked.push(item);
        return accepts(item.serial);
      });
      const expected = inOrder(items);
      expect(found).toBe(expected.find(({ serial }) => accepts(serial)));
      expect(looked).toEqual(
        expected.slice(0, found === undefined ? undefined : expected.indexOf(found) + 1),
      );
      expect(heap.size).toBe(items.length);
    }),
  );
});

test('an item of another heap is not removed', () => {
  const heap = new Heap<Item>(before);
  heap.push({ key: 1, serial: 0, place: -1 });
  expect(() => heap.remove({ key: 1, serial: 0, place: 0 })).toThrow('not in this heap');
});
