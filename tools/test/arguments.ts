/** The command line of `npm test`. */
import { parseArgs } from 'node:util';
import { fail, ok, type Result } from '@tussah/protocol/errors';

export interface TestArguments {
  /** Names of checks, or parts of the paths of test files; none means everything. */
  readonly names: readonly string[];
  readonly deep: boolean;
  readonly failover: FailoverArguments;
}

/** What the failover test does; null leaves it to the test. */
export interface FailoverArguments {
  readonly engine: string | null;
  readonly kills: number | null;
}

const engines = ['webllm', 'wllama'];
const killsMax = 1000;
const failoverTest = 'e2e/failover.e2e.ts';

export const testHelp = `npm test [-- NAME...] [--deep]
npm test -- failover [--engine webllm|wllama] [--kills N]

Runs every check and ends with "N passed, N failed". NAME is a check (format, lint, types, svelte, floors, site, unit,
browser, e2e, files) or a part of the path of test files.

  --deep      the long versions of tests: more runs of property tests and of the simulator
  --engine E  the engine whose contributors the failover test kills in mid-answer; both unless named
  --kills N   how many it kills on each engine, 1 to ${killsMax}; 10 unless told, 100 with --deep
  --help      this text
`;

export type Parsed = { readonly kind: 'help' } | { readonly kind: 'test'; readonly arguments: TestArguments };

export function parseTestArguments(args: readonly string[]): Result<Parsed, 'bad_flags'> {
  try {
    const { values, positionals: names } = parseArgs({
      args: [...args],
      options: {
        deep: { type: 'boolean' },
        engine: { type: 'string' },
        kills: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
      strict: true,
      allowPositionals: true,
    });
    const { deep = false, engine = null, kills = null, help } = values;
    if (help === true) return ok({ kind: 'help' });
    if (engine !== null && !engines.includes(engine))
      return refuse(`--engine must be one of ${engines.join(', ')}, not "${engine}".`);
    if (kills !== null && !(/^\d+$/.test(kills) && Number(kills) >= 1 && Number(kills) <= killsMax))
      return refuse(`--kills must be a whole number from 1 to ${killsMax}, not "${kills}".`);
    const forFailover = engine !== null || kills !== null;
    if (forFailover && names.length > 0 && !names.some((name) => failoverTest.includes(name)))
      return refuse('--engine and --kills are for the failover test, which is not among the names.');
    const failover = { engine, kills: kills === null ? null : Number(kills) };
    return ok({ kind: 'test', arguments: { names, deep, failover } });
  } catch (error) {
    return refuse(error instanceof Error ? error.message : String(error));
  }
}

const refuse = (message: string): Result<never, 'bad_flags'> =>
  fail({ code: 'bad_flags', message, remedy: 'See npm test -- --help.' });

/** How the tests are told, as environment variables. */
export const variablesOf = ({ deep, failover }: Omit<TestArguments, 'names'>): Record<string, string> => ({
  ...(deep ? { TUSSAH_DEEP: '1' } : {}),
  ...(failover.engine === null ? {} : { TUSSAH_FAILOVER_ENGINE: failover.engine }),
  ...(failover.kills === null ? {} : { TUSSAH_FAILOVER_KILLS: String(failover.kills) }),
});
