/** Counts what vitest reported, one JSON line for each test file. */
import * as v from 'valibot';

const TestSchema = v.object({
  name: v.string(),
  /** `pending` is one that never ended, because its file was cut short. */
  state: v.picklist(['passed', 'failed', 'skipped', 'pending']),
  note: v.nullable(v.string()),
});
const ModuleSchema = v.object({
  kind: v.literal('module'),
  file: v.string(),
  errors: v.number(),
  tests: v.array(TestSchema),
});
const EndSchema = v.object({ kind: v.literal('end'), unhandledErrors: v.number(), reason: v.string() });
const LineSchema = v.variant('kind', [ModuleSchema, EndSchema]);
export type ModuleReport = v.InferOutput<typeof ModuleSchema>;
export type ReportLine = v.InferOutput<typeof LineSchema>;

export interface Skip {
  readonly name: string;
  readonly why: string;
}

export interface Count {
  readonly passed: number;
  readonly failed: number;
  readonly skips: readonly Skip[];
  /** Absolute paths of the test files that had a test. */
  readonly files: readonly string[];
}

export function parseReport(text: string): ReportLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => v.parse(LineSchema, JSON.parse(line)));
}

export const testsOf = (lines: readonly ReportLine[]): ModuleReport['tests'] =>
  lines.flatMap((line) => (line.kind === 'module' ? line.tests : []));

/**
 * Errors outside of tests count as failed, and so does a run that ended badly without saying where: nothing that is wrong
 * may end up as "0 failed". A project without a single test is a failure too.
 */
export function countReport(lines: readonly ReportLine[], exitedWell: boolean): Count {
  const modules = lines.filter((line) => line.kind === 'module');
  const tests = testsOf(lines);
  const states = (state: string) => tests.filter((test) => test.state === state).length;
  const ended = lines.find((line) => line.kind === 'end');
  const outside =
    modules.reduce((sum, module) => sum + module.errors, 0) +
    (ended?.unhandledErrors ?? 0) +
    states('pending');
  const failed = states('failed') + outside;
  const passed = states('passed');
  const silent = !exitedWell || ended === undefined || passed === 0;
  return {
    passed,
    failed: failed === 0 && silent ? 1 : failed,
    skips: tests
      .filter((test) => test.state === 'skipped')
      .map((test) => ({ name: test.name, why: test.note ?? 'marked as skipped in its file' })),
    files: modules.filter((module) => module.tests.length > 0).map((module) => module.file),
  };
}
