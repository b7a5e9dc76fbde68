/** What each check runs, and how long it may take. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { ensureSite } from '../start/site.ts';
import { root } from '../setup/processes.ts';
import { variablesOf, type TestArguments } from './arguments.ts';
import { countReport, parseReport, testsOf, type Skip } from './report.ts';
import { runCheck } from './run-check.ts';
import type { Project } from './selection.ts';

export interface CheckResult {
  readonly passed: number;
  readonly failed: number;
  readonly skips: readonly Skip[];
  /** Test files that ran, as paths from the root. */
  readonly files: readonly string[];
  /** A few words for the progress line. */
  readonly summary: string;
  /** What to show below when something failed. */
  readonly output: string;
}

export interface CheckOptions extends Omit<TestArguments, 'names'> {
  readonly patterns: readonly string[];
  readonly note: (text: string) => void;
}

interface StaticCheck {
  readonly script: string;
  readonly args: readonly string[];
  readonly timeoutMs: number;
}

const { workspaces } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly workspaces: readonly string[];
};

export const staticChecks = {
  format: { script: 'node_modules/oxfmt/bin/oxfmt', args: ['--check', '.'], timeoutMs: 60_000 },
  lint: {
    script: 'node_modules/oxlint/bin/oxlint',
    args: ['--type-aware', '--format=stylish'],
    timeoutMs: 120_000,
  },
  types: { script: 'node_modules/typescript7/bin/tsc', args: ['-p', '.'], timeoutMs: 120_000 },
  svelte: {
    script: 'node_modules/svelte-check/bin/svelte-check',
    args: ['--workspace', 'web', '--tsconfig', 'tsconfig.json', '--fail-on-warnings'],
    timeoutMs: 180_000,
  },
  floors: {
    script: 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs',
    args: [
      '--config=.dependency-cruiser.cjs',
      '--output-type=err-long',
      // Recipes that run elsewhere, once, and import from there.
      '--exclude=^models/tiny/(train|compile)/|^web/dist/',
      ...workspaces,
      'e2e',
      'tools',
    ],
    timeoutMs: 120_000,
  },
} as const satisfies Record<string, StaticCheck>;

/** vitest has limits for each test; these are for when it hangs altogether. */
const projectTimeoutMs: Record<Project, number> = { unit: 600_000, browser: 600_000, e2e: 900_000 };
const deepFactor = 6;
/** A kill of the failover test, with the answer it falls into, on either engine of a busy machine. */
const killMs = 20_000;

export async function runStaticCheck({ script, args, timeoutMs }: StaticCheck): Promise<CheckResult> {
  const run = await runCheck(script, args, { timeoutMs });
  return oneCheck(run.ok, run.how, run.output);
}

/** The site is built unless it is already, from the same sources. */
export async function runSite(): Promise<CheckResult> {
  const built = await ensureSite();
  if (built.ok) return oneCheck(true, built.value, '');
  return oneCheck(false, 'vite build failed', `${built.failure.message}\n${built.failure.remedy}`);
}

const oneCheck = (good: boolean, summary: string, output: string): CheckResult => ({
  passed: good ? 1 : 0,
  failed: good ? 0 : 1,
  skips: [],
  files: [],
  summary: good && summary === 'exit code 0' ? '' : summary,
  output,
});

/** Every test of a vitest project counts as one. */
export async function runProject(project: Project, options: CheckOptions): Promise<CheckResult> {
  const folder = mkdtempSync(join(tmpdir(), 'tussah-test-'));
  const path = join(folder, 'report.jsonl');
  try {
    const run = await runCheck(
      'node_modules/vitest/vitest.mjs',
      [
        'run',
        `--project=${project}`,
        '--reporter=default',
        `--reporter=${join(root, 'tools/test/reporter.ts')}`,
        ...options.patterns,
      ],
      {
        timeoutMs:
          projectTimeoutMs[project] * (options.deep ? deepFactor : 1) +
          killMs * (options.failover.kills ?? 0),
        env: { TUSSAH_TEST_REPORT: path, ...variablesOf(options) },
        onTick: () => options.note(progress(path)),
      },
    );
    const count = countReport(parseReport(read(path)), run.ok);
    const { passed, failed, skips } = count;
    return {
      passed,
      failed,
      skips: skips.map((skip) => ({ ...skip, name: `${project}: ${skip.name}` })),
      files: count.files.map(fromRoot),
      summary: [
        `${passed} passed`,
        ...(failed === 0 ? [] : [`${failed} failed`]),
        ...(skips.length === 0 ? [] : [`${skips.length} skipped`]),
        ...(run.ok ? [] : [run.how]),
      ].join(', '),
      output: run.output,
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export const fromRoot = (path: string): string => relative(root, path).split(sep).join('/');

function read(path: string): string {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? '' : readFileSync(path, 'utf8');
}

/** Only whole lines: the last may be half written. */
function progress(path: string): string {
  const text = read(path);
  const tests = testsOf(parseReport(text.slice(0, text.lastIndexOf('\n') + 1)));
  const count = (state: string) => tests.filter((test) => test.state === state).length;
  const failed = count('failed');
  return `${count('passed')} passed${failed > 0 ? `, ${failed} failed` : ''}`;
}
