import { expect, test } from 'vitest';
import { FakeTimers } from './fake-timers.ts';
import { Watchdog } from './watchdog.ts';

function watched() {
  const timers = new FakeTimers();
  const silences: number[] = [];
  return { timers, silences, dog: new Watchdog(timers, (ms) => silences.push(ms)) };
}

test('silence longer than allowed is reported once', () => {
  const { timers, silences, dog } = watched();
  dog.feed(100);
  timers.advance(1000);
  expect(silences).toEqual([100]);
});

test('each sound starts the time anew, with its own allowance', () => {
  const { timers, silences, dog } = watched();
  dog.feed(100);
  timers.advance(90);
  dog.feed(50);
  timers.advance(49);
  expect(silences).toEqual([]);
  timers.advance(1);
  expect(silences).toEqual([50]);
});

test('after stop, and with an infinite allowance, nothing is reported and no timer is left', () => {
  const { timers, silences, dog } = watched();
  dog.feed(100);
  dog.stop();
  dog.feed(Infinity);
  timers.advance(10_000);
  expect(silences).toEqual([]);
  expect(timers.pending).toBe(0);
});
