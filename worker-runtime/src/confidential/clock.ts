/** The process's clock. */
import { ForwardClock } from '@tussah/protocol/forward-clock';
import type { Clock } from './ports.ts';

/** Deadlines, ends of epochs and beats of answers are compared with it. */
export function systemClock(): Clock {
  const clock = new ForwardClock(Date.now, () => performance.now());
  return {
    nowMs: () => clock.now(),
    after(delayMs, fn) {
      const timer = setTimeout(fn, delayMs);
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
  };
}
