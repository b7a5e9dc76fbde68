import { describe, expect, it } from 'vitest';
import { countReport, parseReport, type ReportLine } from './report.ts';
import { addResult, emptyTally, finalLines } from './tally.ts';

type State = 'passed' | 'failed' | 'skipped' | 'pending';
const module = (file: string, states: readonly State[], errors = 0): ReportLine => ({
  kind: 'module',
  file,
  errors,
  tests: states.map((state, i) => ({
    name: `test ${i}`,
    state,
    note: state === 'skipped' ? 'no GPU' : null,
  })),
});
const end: ReportLine = { kind: 'end', unhandledErrors: 0, reason: 'passed' };

describe('counting what vitest reported', () => {
  it('counts each test once and keeps why one was skipped', () => {
    const count = countReport([module('/a.test.ts', ['passed', 'failed', 'skipped']), end], false);
    expect(count).toEqual({
      passed: 1,
      failed: 1,
      skips: [{ name: 'test 2', why: 'no GPU' }],
      files: ['/a.test.ts'],
    });
  });

  it.each<[string, ReportLine[], boolean]>([
    ['an error outside of tests', [module('/a', ['passed'], 1), end], false],
    ['an unhandled rejection', [module('/a', ['passed']), { ...end, unhandledErrors: 1 }], false],
    ['a test that never ended', [module('/a', ['passed', 'pending']), end], false],
    ['a run that ended badly without saying where', [module('/a', ['passed']), end], false],
    ['a run that was cut short', [module('/a', ['passed'])], true],
    ['a run without a test', [end], true],
    ['no report at all', [], true],
    ['a run in which every test was skipped', [module('/a', ['skipped']), end], true],
  ])('fails on %s', (_, lines, exitedWell) => {
    expect(countReport(lines, exitedWell).failed).toBe(1);
  });

  it('does not take a file without tests for one that ran', () => {
    expect(countReport([module('/empty.test.ts', []), end], true).files).toEqual([]);
  });

  it('reads what the reporter wrote, and refuses anything else', () => {
    const lines = [module('/a', ['passed']), end];
    expect(parseReport(`${lines.map((line) => JSON.stringify(line)).join('\n')}\n`)).toEqual(lines);
    expect(() => parseReport('{"kind":"surprise"}')).toThrow('surprise');
  });
});

describe('the last line', () => {
  const tally = addResult(addResult(emptyTally, { passed: 2, failed: 0, skips: [] }), {
    passed: 1,
    failed: 1,
    skips: [{ name: 'browser', why: 'no browser' }],
  });

  it('stands alone and counts passed and failed', () => {
    expect(finalLines(tally, false)).toMatchObject({ failed: 1 });
    expect(finalLines(tally, false).lines.at(-1)).toBe('3 passed, 1 failed');
  });

  it('lists what was skipped and why', () => {
    expect(finalLines(tally, false).lines.join('\n')).toContain('browser: no browser');
  });

  it('counts a skip as a failure where nobody looks', () => {
    expect(finalLines(tally, true).lines.at(-1)).toBe('3 passed, 2 failed');
  });

  it('is a failure when nothing ran', () => {
    expect(finalLines(emptyTally, false)).toMatchObject({ failed: 1 });
  });
});
