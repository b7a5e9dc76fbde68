/** A small seeded generator (mulberry32): tests that fail can be run again with the same seed. */
export function seededRandom(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) % below;
  };
}

/** Long versions run where this is set; browsers have no environment. */
export const deep = 'process' in globalThis && process.env['TUSSAH_DEEP'] === '1';
