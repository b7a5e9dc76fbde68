/** The simulator on fixed seeds, so that it says the same each time; TUSSAH_DEEP=1 adds some minutes of new ones. */
import { randomInt } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { Coverage } from './coverage.ts';
import { effectTypes, SimulationFailure, World } from './world.ts';

const deep = process.env['TUSSAH_DEEP'] === '1';
const timeoutMs = deep ? 3_600_000 : 500_000;
const first = deep ? randomInt(2 ** 40) : 1;
const seeds = Array.from({ length: deep ? 400 : 40 }, (_, i) => first + i);
if (deep) process.stderr.write(`simulated seeds: ${seeds.length} from ${first} on\n`);

/** A small network, and one of a small country. */
const small = { steps: 30_000, contributors: 40, clients: 20 };
const large = { steps: 150_000, contributors: 3_000, clients: 400 };

test(
  'whatever peers, network, store and clock do, and wherever it crashes, the coordinator keeps its promises',
  () => {
    const coverage = new Coverage();
    const crashedAt = new Set<string>();
    for (const seed of seeds) {
      const world = new World({ seed, ...small }, coverage);
      world.run();
      for (const where of world.crashedAt.keys()) crashedAt.add(where);
    }
    // The reach of the tables, and of crashes: what is not reached is named.
    const legal = coverage.of('legal');
    expect(legal.reached / legal.cells, legal.missing.join('\n')).toBeGreaterThanOrEqual(0.95);
    const illegal = coverage.of('illegal');
    expect(illegal.reached / illegal.cells, illegal.missing.join('\n')).toBeGreaterThanOrEqual(0.9);
    for (const type of effectTypes)
      expect([...crashedAt], type).toEqual(expect.arrayContaining([`before ${type}`, `after ${type}`]));
    expect(crashedAt).toContain('drained');
  },
  timeoutMs,
);

test(
  'thousands of contributors and hundreds of clients change nothing about that',
  () => {
    for (const seed of seeds.slice(0, deep ? 10 : 1)) {
      const world = new World({ seed, ...large });
      world.run();
      expect(world.watch.outcomes.get('complete')).toBeGreaterThan(1_000);
    }
  },
  timeoutMs,
);

describe('a run', () => {
  const plan = { seed: 7, steps: 5_000, contributors: 20, clients: 10 };
  /** A world in which, after a while, a reservation appears from nowhere. */
  const broken = () => {
    const world = new World(plan);
    world.agenda.after(3_000, () => world.process?.state.reserved.set('client:nobody', 5n));
    try {
      world.run();
    } catch (error) {
      return error;
    }
    return undefined;
  };

  test('is the same again with the same numbers, and another with another seed', () => {
    const history = (seed: number) => {
      const world = new World({ ...plan, seed });
      world.run();
      return { steps: world.watch.steps, ms: world.agenda.nowMs, last: world.trace.text() };
    };
    const once = history(7);
    expect(history(7)).toEqual(once);
    expect(history(8)).not.toEqual(once);
  });

  test('that finds something says where, how to see it again, and what led to it', () => {
    const failure = broken();
    expect(failure).toBeInstanceOf(SimulationFailure);
    const { message } = failure as SimulationFailure;
    expect(message).toMatch(/^seed 7, step \d+: client:nobody has 5 reserved/);
    expect(message).toContain('npm run sim -- --seed 7 --steps 5000 --contributors 20 --clients 10');
    expect(message).toContain('the last steps:\n');
    expect(broken()).toEqual(failure);
  });
});
