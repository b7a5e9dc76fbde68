import { expect, it } from 'vitest';
import { SeenIds } from './seen-ids.ts';

it('remembers up to its bound, then nothing more until something has passed', () => {
  const seen = new SeenIds(2);
  expect([seen.add('a', 100, 0), seen.add('b', 200, 0), seen.add('c', 300, 0)]).toEqual([true, true, false]);
  expect([seen.has('a'), seen.has('b'), seen.has('c')]).toEqual([true, true, false]);
  expect(seen.add('c', 300, 101)).toBe(true);
  expect([seen.has('a'), seen.has('b'), seen.has('c'), seen.size]).toEqual([false, true, true, 2]);
});
