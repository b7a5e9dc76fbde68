import { expect, it } from 'vitest';
import { ForwardClock } from './forward-clock.ts';

/** A clock that shows what it is told, beside time that passes. */
function clocks() {
  let shownMs = 5_000;
  let passedMs = 100.5;
  const clock = new ForwardClock(
    () => shownMs,
    () => passedMs,
  );
  const pass = (ms: number, setToMs = shownMs + ms) => {
    passedMs += ms;
    shownMs = setToMs;
    return clock.now();
  };
  return { clock, pass };
}

it('follows the system clock, forward leaps included', () => {
  const { clock, pass } = clocks();
  expect(clock.now()).toBe(5_000);
  expect(pass(10)).toBe(5_010);
  expect(pass(10, 90_000)).toBe(90_000);
});

it('goes on when the clock is set back, and follows it again once it has caught up', () => {
  const { clock, pass } = clocks();
  expect(clock.now()).toBe(5_000);
  expect(pass(10, 1_000)).toBe(5_010);
  expect(pass(10)).toBe(5_020);
  expect(pass(10, 7_000)).toBe(7_000);
});

it('loses no fraction of a millisecond, however often it is asked', () => {
  const { clock, pass } = clocks();
  clock.now();
  let atMs = 0;
  for (let i = 0; i < 120; i++) atMs = pass(0.25, 0);
  expect(atMs).toBe(5_030);
});
