import { expect, it } from 'vitest';
import { SeenIds } from './seen-ids.ts';

const all = (seen: SeenIds) => ['a', 'b', 'c'].filter((id) => seen.has(id));

it('remembers up to its bound, then nothing more until something has passed', () => {
  const seen = new SeenIds(100, 2);
  expect([seen.add('a', 1_000), seen.add('b', 1_050), seen.add('c', 1_060)]).toEqual([true, true, false]);
  expect(all(seen)).toEqual(['a', 'b']);
  // Each is kept for 100 at least.
  expect(seen.add('c', 1_149)).toBe(false);
  expect(all(seen)).toEqual(['a', 'b']);
  expect(seen.add('c', 1_249)).toBe(true);
  expect([all(seen), seen.size]).toEqual([['c'], 1]);
});

it('remembers each for its time whenever it came', () => {
  const seen = new SeenIds(100);
  for (let atMs = 1_000; atMs < 3_000; atMs += 10) {
    seen.add(`at ${atMs}`, atMs);
    for (let back = Math.max(1_000, atMs - 100); back <= atMs; back += 10)
      expect(seen.has(`at ${back}`)).toBe(true);
    expect(seen.size).toBeLessThanOrEqual(20);
  }
});

it('forgets what was not opened', () => {
  const seen = new SeenIds(100, 1);
  seen.add('a', 0);
  seen.forget('a');
  expect([seen.has('a'), seen.add('b', 0)]).toEqual([false, true]);
});
