/** `npm run sim`: runs the simulator from a seed, and the same seed the same way each time. */
import { parseArgs } from 'node:util';
import { Coverage } from './coverage.ts';
import { SimulationFailure, World, type Plan } from './world.ts';

const help = `Usage: npm run sim -- --seed S [--steps N] [--contributors N] [--clients N] [--seeds N]

Drives the coordinator's core through a simulated network, with contributors and clients of all kinds, losses, slow and
failing stores, clock jumps and crashes, all drawn from the seed. The same numbers give the same history.

  --seed S          where to begin; an integer from 0
  --steps N         events given to the core, then everything must come to its end  (100000)
  --contributors N  (40)
  --clients N       (20)
  --seeds N         so many seeds, one after the other, from S on                    (1)

Prints which pairs of the transition tables were reached.
Exit code 0: everything held; 1: something did not, with seed, step and the last steps; 2: bad usage.`;

const names = ['seed', 'steps', 'contributors', 'clients', 'seeds'] as const;
const defaults = { steps: 100_000, contributors: 40, clients: 20, seeds: 1 };

export interface Streams {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
  /** Shows how far it is, on one line; null where nobody looks. */
  readonly progress: ((text: string) => void) | null;
}

type Run = (plan: Plan, coverage: Coverage, streams: Streams) => void;

/** Runs the command and returns its exit status; `run` does one seed. */
export function main(args: readonly string[], streams: Streams, run: Run = simulate): 0 | 1 | 2 {
  const plan = readPlan(args);
  if (plan === 'help') {
    streams.out(`${help}\n`);
    return 0;
  }
  if (typeof plan === 'string') {
    streams.error(`${plan}\n\n${help}\n`);
    return 2;
  }
  const coverage = new Coverage();
  try {
    for (let i = 0; i < plan.seeds; i++) run({ ...plan, seed: plan.seed + i }, coverage, streams);
  } catch (error) {
    if (!(error instanceof SimulationFailure)) throw error;
    streams.error(`${error.message}\n`);
    return 1;
  }
  streams.out(`pairs of the transition tables\n${coverage.text()}\n`);
  return 0;
}

/** The plan; or `help`; or what is wrong with the arguments. */
function readPlan(args: readonly string[]): (Plan & { readonly seeds: number }) | string {
  let values: { readonly [Name in (typeof names)[number]]?: string } & { readonly help?: boolean };
  try {
    const text = { type: 'string' } as const;
    const numbers = { seed: text, steps: text, contributors: text, clients: text, seeds: text };
    values = parseArgs({
      args: [...args],
      options: { ...numbers, help: { type: 'boolean', short: 'h' } },
    }).values;
  } catch (error) {
    return (error as Error).message;
  }
  if (values.help === true) return 'help';
  const plan = { seed: -1, ...defaults };
  for (const name of names) {
    const value = values[name];
    if (value !== undefined) plan[name] = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    const least = name === 'seed' ? 0 : 1;
    if (!Number.isSafeInteger(plan[name]) || plan[name] < least)
      return `--${name} must be an integer from ${least}.`;
  }
  return plan;
}

const simulate: Run = (plan, coverage, { out, progress }) => {
  const world = new World(plan, coverage);
  world.run((steps) => progress?.(`seed ${plan.seed}: ${steps} of ${plan.steps} steps`));
  progress?.('');
  const seconds = Math.round(world.agenda.nowMs / 1000);
  out(`seed ${plan.seed}: ${world.watch.steps} steps, ${seconds} s of its time\n`);
  out(`  answers  ${list(world.watch.outcomes)}\n  crashes  ${list(world.crashedAt)}\n`);
};

const list = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');

if (import.meta.main)
  process.exitCode = main(process.argv.slice(2), {
    out: (text) => process.stdout.write(text),
    error: (text) => process.stderr.write(text),
    progress: process.stderr.isTTY ? (text) => process.stderr.write(`\r\x1b[K${text}`) : null,
  });
