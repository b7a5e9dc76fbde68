/**
 * A vitest reporter that appends one JSON line for each finished test file to `TUSSAH_TEST_REPORT`, and one at the end of
 * the run. vitest's own JSON reporter writes nothing before the end and leaves out why a test was skipped.
 */
import { appendFileSync } from 'node:fs';
import type { Reporter, TestModule } from 'vitest/node';
import type { ModuleReport, ReportLine } from './report.ts';

const path = process.env['TUSSAH_TEST_REPORT'];

const write = (line: ReportLine): void => {
  if (path !== undefined) appendFileSync(path, `${JSON.stringify(line)}\n`);
};

function moduleReport(module: TestModule): ModuleReport {
  const tests = [...module.children.allTests()].map((test) => {
    const result = test.result();
    return {
      name: test.fullName,
      state: result.state,
      note: result.state === 'skipped' ? (result.note ?? null) : null,
    };
  });
  return {
    kind: 'module',
    file: module.moduleId,
    errors: module.errors().length + suiteErrors(module),
    tests,
  };
}

/** Errors outside of tests, in hooks for instance. */
const suiteErrors = (module: TestModule): number =>
  [...module.children.allSuites()].reduce((sum, suite) => sum + suite.errors().length, 0);

export default class JsonLinesReporter implements Reporter {
  onTestModuleEnd(module: TestModule): void {
    write(moduleReport(module));
  }

  onTestRunEnd(_modules: readonly TestModule[], unhandled: readonly unknown[], reason: string): void {
    write({ kind: 'end', unhandledErrors: unhandled.length, reason });
  }
}
