import { describe, expect, it } from 'vitest';
import { parseTestArguments, variablesOf } from './arguments.ts';
import { checkNames, isSearched, isTestFile, leftOut, projectOf, select } from './selection.ts';

const files = [
  'protocol/src/money.test.ts',
  'worker-runtime/src/engine/wllama.browser.test.ts',
  'e2e/chat.e2e.ts',
];
const checksOf = (...names: string[]) => {
  const selected = select(names, files);
  return selected.ok ? [...selected.value.checks].sort() : selected.failure.code;
};

describe('which checks run', () => {
  it('is all of them when none is named', () => {
    expect(checksOf()).toEqual([...checkNames].sort());
  });

  it('is those named', () => {
    expect(checksOf('lint', 'unit')).toEqual(['lint', 'unit']);
  });

  it('is the project of the test files that a name stands for', () => {
    expect(checksOf('money')).toEqual(['unit']);
    expect(checksOf('wllama')).toEqual(['browser']);
  });

  it('has the site built before the end-to-end tests', () => {
    expect(checksOf('chat')).toEqual(['e2e', 'site']);
  });

  it('refuses a name that stands for nothing, so that a typing error is not a success', () => {
    expect(checksOf('mony')).toBe('nothing_selected');
  });
});

describe('test files', () => {
  it('are told by their names', () => {
    expect(files.every(isTestFile)).toBe(true);
    expect(['a.ts', 'contract.ts', 'test.ts'].some(isTestFile)).toBe(false);
    expect(files.map(projectOf)).toEqual(['unit', 'browser', 'e2e']);
  });

  it('are not looked for among packages, builds and hidden folders', () => {
    expect(['node_modules', 'web/dist', '.git', 'models/.venv'].some(isSearched)).toBe(false);
    expect(isSearched('.')).toBe(true);
  });

  it('that a project left out are named', () => {
    const ran = new Set(['e2e/chat.e2e.ts']);
    expect(leftOut(files, ran, new Set(['unit', 'e2e']))).toEqual(['protocol/src/money.test.ts']);
  });
});

describe('the command line of npm test', () => {
  it('reads names and --deep', () => {
    expect(parseTestArguments(['lint', '--deep'])).toEqual({
      ok: true,
      value: {
        kind: 'test',
        arguments: { names: ['lint'], deep: true, failover: { engine: null, kills: null } },
      },
    });
  });

  it('passes the engine and the number of kills on to the failover test', () => {
    const parsed = parseTestArguments(['failover', '--engine', 'wllama', '--kills', '20']);
    if (!parsed.ok || parsed.value.kind !== 'test') throw new Error('refused');
    expect(variablesOf(parsed.value.arguments)).toEqual({
      TUSSAH_FAILOVER_ENGINE: 'wllama',
      TUSSAH_FAILOVER_KILLS: '20',
    });
  });

  it('takes them without names, too, since all tests run then', () => {
    expect(parseTestArguments(['--kills', '3']).ok).toBe(true);
  });

  it.each([
    [['failover', '--engine', 'llama'], '--engine'],
    [['failover', '--kills', '0'], '--kills'],
    [['failover', '--kills', '2.5'], '--kills'],
    [['failover', '--kills', '1001'], '--kills'],
    [['failover', '--kills'], '--kills'],
    [['lint', '--kills', '3'], 'failover'],
  ])('refuses %j', (args, named) => {
    const parsed = parseTestArguments(args);
    if (parsed.ok) throw new Error('accepted');
    expect(parsed.failure).toMatchObject({ code: 'bad_flags', remedy: expect.stringContaining('--help') });
    expect(parsed.failure.message).toContain(named);
  });

  it('refuses unknown flags', () => {
    expect(parseTestArguments(['--depe'])).toMatchObject({ failure: { code: 'bad_flags' } });
  });
});
