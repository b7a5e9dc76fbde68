/** Which checks run, and over which test files. */
import { fail, ok, type Result } from '@tussah/protocol/errors';

export const projects = ['unit', 'browser', 'e2e'] as const;
export type Project = (typeof projects)[number];

/** In the order in which they run: the quick ones first, the built site before what needs it. */
export const checkNames = [
  'format',
  'lint',
  'types',
  'svelte',
  'floors',
  'unit',
  'site',
  'browser',
  'e2e',
  'files',
] as const;
export type CheckName = (typeof checkNames)[number];

export interface Selection {
  readonly checks: ReadonlySet<CheckName>;
  /** Parts of paths that limit the test files of the projects; none means all files. */
  readonly patterns: readonly string[];
}

const testFile = /\.(test|spec|e2e)\.[cm]?[jt]sx?$/;
const ignoredFolder = /(^|\/)(node_modules|dist|coverage|\.[^/.][^/]*)$/;

export const isTestFile = (path: string): boolean => testFile.test(path);
export const isSearched = (path: string): boolean => !ignoredFolder.test(path);

/** The vitest project that a test file is meant for. */
export function projectOf(path: string): Project {
  if (/\.e2e\.[cm]?[jt]sx?$/.test(path)) return 'e2e';
  return /\.browser\.test\.[cm]?[jt]sx?$/.test(path) ? 'browser' : 'unit';
}

/** Names that are no check are parts of paths; one that no test file has in its path is refused. */
export function select(
  names: readonly string[],
  testFiles: readonly string[],
): Result<Selection, 'nothing_selected'> {
  if (names.length === 0) return ok({ checks: new Set(checkNames), patterns: [] });
  const checks = new Set<CheckName>();
  const patterns: string[] = [];
  for (const name of names) {
    if (isCheckName(name)) {
      checks.add(name);
      continue;
    }
    const matching = testFiles.filter((file) => file.includes(name));
    if (matching.length === 0)
      return fail({
        code: 'nothing_selected',
        message: `"${name}" is no check, and no test file has it in its path.`,
        remedy: `The checks are ${checkNames.join(', ')}.`,
      });
    patterns.push(name);
    for (const file of matching) checks.add(projectOf(file));
  }
  // End-to-end tests drive the built site.
  if (checks.has('e2e')) checks.add('site');
  return ok({ checks, patterns });
}

const isCheckName = (name: string): name is CheckName => checkNames.some((each) => each === name);

/** Test files that should have run and did not: a project's pattern left them out. */
export const leftOut = (
  testFiles: readonly string[],
  ran: ReadonlySet<string>,
  ranProjects: ReadonlySet<Project>,
): string[] => testFiles.filter((file) => ranProjects.has(projectOf(file)) && !ran.has(file));
