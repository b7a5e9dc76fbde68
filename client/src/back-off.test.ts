import { describe, expect, it } from 'vitest';
import { Outage } from './back-off.ts';

const bounds = { baseMs: 100, capMs: 1_000, totalMs: 10_000 };

describe('Outage', () => {
  it('doubles the pauses up to the cap, spread over the upper half', () => {
    const pauses = (random: number) => {
      const outage = new Outage(0);
      return Array.from({ length: 6 }, () => outage.next(bounds, 0, random));
    };
    expect(pauses(1)).toEqual([100, 200, 400, 800, 1_000, 1_000]);
    expect(pauses(0)).toEqual([50, 100, 200, 400, 500, 500]);
  });

  it('waits as long as it was asked to', () => {
    expect(new Outage(0).next(bounds, 0, 0, 7_000)).toBe(7_000);
  });

  it('gives up when the next attempt would begin too late', () => {
    const outage = new Outage(5_000);
    expect(outage.next(bounds, 14_900, 1)).toBe(100);
    expect(outage.next(bounds, 14_900, 1)).toBeUndefined();
    expect(new Outage(0).next(bounds, 0, 0, 10_001)).toBeUndefined();
  });
});
