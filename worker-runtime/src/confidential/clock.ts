/** The process's clock. */
import type { Clock } from './ports.ts';

/** Wall time, but never backwards: deadlines and ends of epochs are compared with it. */
export function systemClock(): Clock {
  let last = 0;
  return {
    nowMs: () => (last = Math.max(last, Date.now())),
    after(delayMs, fn) {
      const timer = setTimeout(fn, delayMs);
      return () => clearTimeout(timer);
    },
    random: () => Math.random(),
  };
}
