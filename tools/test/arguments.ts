/** The command line of `npm test`. */
import { parseArgs } from 'node:util';
import { fail, ok, type Result } from '@tussah/protocol/errors';

export interface TestArguments {
  /** Names of checks, or parts of the paths of test files; none means everything. */
  readonly names: readonly string[];
  readonly deep: boolean;
}

export const testHelp = `npm test [-- NAME...] [--deep]

Runs every check and ends with "N passed, N failed". NAME is a check (format, lint, types, svelte, floors, site, unit,
browser, e2e, files) or a part of the path of test files.

  --deep    the long versions of tests: more runs of property tests and of the simulator
  --help    this text
`;

export type Parsed = { readonly kind: 'help' } | { readonly kind: 'test'; readonly arguments: TestArguments };

export function parseTestArguments(args: readonly string[]): Result<Parsed, 'bad_flags'> {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      options: { deep: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
      strict: true,
      allowPositionals: true,
    });
    if (values.help === true) return ok({ kind: 'help' });
    return ok({ kind: 'test', arguments: { names: positionals, deep: values.deep ?? false } });
  } catch (error) {
    return fail({
      code: 'bad_flags',
      message: error instanceof Error ? error.message : String(error),
      remedy: 'See npm test -- --help.',
    });
  }
}
