/** `npm test`: every check, one after the other, then `N passed, N failed`. Exit code 1 when anything failed. */
import { startActivity } from './setup/activity.mjs';
import { ensureBrowser } from './setup/browser.ts';
import { killAll, root } from './setup/processes.ts';
import { filesBelow } from './setup/stamp.mjs';
import { parseTestArguments, testHelp, type TestArguments } from './test/arguments.ts';
import {
  runProject,
  runSite,
  runStaticCheck,
  staticChecks,
  type CheckOptions,
  type CheckResult,
} from './test/checks.ts';
import {
  checkNames,
  isSearched,
  isTestFile,
  leftOut,
  select,
  type CheckName,
  type Project,
  type Selection,
} from './test/selection.ts';
import { addResult, emptyTally, finalLines, type Tally } from './test/tally.ts';

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    killAll();
    process.exit(130);
  });

process.exitCode = await main();

async function main(): Promise<number> {
  const parsed = parseTestArguments(process.argv.slice(2));
  if (!parsed.ok) return refuse(parsed.failure);
  if (parsed.value.kind === 'help') {
    process.stdout.write(testHelp);
    return 0;
  }
  const testFiles = filesBelow(root, ['.'], isSearched).filter(isTestFile);
  const selected = select(parsed.value.arguments.names, testFiles);
  if (!selected.ok) return refuse(selected.failure);
  const ci = /^(1|true)$/i.test(process.env['CI'] ?? '');
  const tally = await runAll(selected.value, parsed.value.arguments, testFiles);
  const { lines, failed } = finalLines(tally, ci);
  console.log(lines.join('\n'));
  return failed === 0 ? 0 : 1;
}

async function runAll(
  selection: Selection,
  { deep, failover }: TestArguments,
  testFiles: readonly string[],
): Promise<Tally> {
  let tally = emptyTally;
  let browser: Promise<string | null> | undefined;
  const ran = new Map<CheckName, CheckResult>();
  for (const name of checkNames) {
    if (!selection.checks.has(name)) continue;
    const needsBrowser = name === 'browser' || name === 'e2e';
    const lacks = needsBrowser ? await (browser ??= whyNoBrowser()) : null;
    const why =
      lacks ?? (name === 'e2e' && ran.get('site')?.failed === 1 ? 'the site could not be built' : null);
    if (why !== null) {
      console.log(`${name}: skipped, ${why}`);
      tally = { ...tally, skips: [...tally.skips, { name, why }] };
      continue;
    }
    const activity = startActivity(name, process.stdout);
    const result =
      name === 'files'
        ? checkFiles(selection, testFiles, ran)
        : await runOne(name, {
            deep,
            failover,
            patterns: selection.patterns,
            note: (text) => activity.note(text),
          });
    ran.set(name, result);
    tally = addResult(tally, result);
    if (result.failed === 0) activity.done(result.summary);
    else {
      activity.failed(result.summary);
      console.log(`${result.output}\n`);
    }
  }
  return tally;
}

function runOne(name: Exclude<CheckName, 'files'>, options: CheckOptions): Promise<CheckResult> {
  switch (name) {
    case 'unit':
    case 'browser':
    case 'e2e':
      return runProject(name, options);
    case 'site':
      return runSite();
    default:
      return runStaticCheck(staticChecks[name]);
  }
}

/** Every test file on disk that a project should have run, did run. */
function checkFiles(
  selection: Selection,
  testFiles: readonly string[],
  ran: ReadonlyMap<CheckName, CheckResult>,
): CheckResult {
  const projects = new Set(
    (['unit', 'browser', 'e2e'] as const satisfies Project[]).filter((name) => ran.has(name)),
  );
  const seen = new Set([...ran.values()].flatMap((result) => result.files));
  const missed = leftOut(testFiles, seen, projects);
  return {
    passed: missed.length === 0 ? 1 : 0,
    failed: missed.length === 0 ? 0 : 1,
    skips: [],
    files: [],
    summary: `${seen.size} test files ran${selection.patterns.length > 0 ? ' (limited by name)' : ''}`,
    output: `These test files did not run:\n${missed.map((file) => `  ${file}`).join('\n')}`,
  };
}

async function whyNoBrowser(): Promise<string | null> {
  const found = await ensureBrowser();
  return found.ok ? null : `${found.failure.message} ${found.failure.remedy}`;
}

function refuse({ message, remedy }: { readonly message: string; readonly remedy: string }): number {
  process.stderr.write(`${message}\n${remedy}\n`);
  return 1;
}
