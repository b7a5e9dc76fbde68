import { expect, test } from 'vitest';
import { main } from './main.ts';
import { SimulationFailure, type Plan } from './world.ts';

/** Runs the command; `failsAt` is the seed at which something does not hold. */
function command(text: string, failsAt?: number) {
  let out = '';
  let error = '';
  const plans: Plan[] = [];
  const streams = {
    out: (text: string) => void (out += text),
    error: (text: string) => void (error += text),
    progress: null,
  };
  const run = (plan: Plan) => {
    plans.push(plan);
    if (plan.seed === failsAt) throw new SimulationFailure(`seed ${plan.seed}, step 3: it does not hold`);
  };
  const code = main(text === '' ? [] : text.split(' '), streams, run);
  return { code, out, error, seeds: plans.map(({ seed }) => seed), plan: plans[0] };
}

test('runs as many seeds as asked for, with the numbers given', () => {
  const { code, seeds, plan, out } = command('--seed 7 --seeds 3 --steps 500 --contributors 9 --clients 4');
  expect({ code, seeds }).toEqual({ code: 0, seeds: [7, 8, 9] });
  expect(plan).toMatchObject({ steps: 500, contributors: 9, clients: 4 });
  expect(out).toContain('0 of 29 pairs');
});

test('ends at the first seed that fails, and says which', () => {
  const { code, seeds, error } = command('--seed 7 --seeds 3', 8);
  expect({ code, seeds }).toEqual({ code: 1, seeds: [7, 8] });
  expect(error).toContain('seed 8, step 3: it does not hold');
});

test.each([
  ['', '--seed must be an integer from 0.'],
  ['--seed', "Option '--seed <value>' argument missing"],
  ['--seed 1.5', '--seed must be an integer from 0.'],
  ['--seed=-1', '--seed must be an integer from 0.'],
  ['--seed 1 --steps 0', '--steps must be an integer from 1.'],
  ['--seed 1 --planets 9', "Unknown option '--planets'"],
])('refuses "%s" and says why', (text, reason) => {
  const { code, error, seeds } = command(text);
  expect({ code, seeds }).toEqual({ code: 2, seeds: [] });
  expect(error).toContain(reason);
  expect(error).toContain('Usage: npm run sim');
});

test('explains itself', () => {
  expect(command('--help')).toMatchObject({ code: 0, seeds: [] });
  expect(command('-h').out).toContain('Usage: npm run sim');
});
