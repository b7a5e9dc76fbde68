import { describe, expect, it } from 'vitest';
import { instrument, type Mutant } from './instrument.ts';

function mutantsOf(source: string) {
  const mutants: Mutant[] = [];
  const code = instrument(source, 'x.ts', mutants);
  return { code, found: mutants.map(({ change, text }) => `${change}: ${text}`) };
}

describe('the mutants of a source file', () => {
  it('are each check, left out and turned round', () => {
    const { code, found } = mutantsOf("demand(a > 1, 'x');\nrecord.check('id', b);");
    expect(found).toEqual(['true: a > 1', 'inverted: a > 1', 'true: b', 'inverted: b']);
    expect(code).toBe(
      "demand(globalThis.tussahMutant(0, 'ti', (a > 1)), 'x');\nrecord.check('id', globalThis.tussahMutant(2, 'ti', (b)));",
    );
  });

  it('are the operands of what is checked or returned', () => {
    expect(mutantsOf("record.check('id', a && (b || c));").found).toEqual(
      expect.arrayContaining(['true: a', 'false: b', 'false: c']),
    );
    expect(mutantsOf('const f = (x) => x.a && x.b;').found).toEqual(['true: x.a', 'true: x.b']);
    expect(mutantsOf('function f() { return a || b; }').found).toEqual(['false: a', 'false: b']);
  });

  it('are not what the type check would miss anyway, nor what is always true', () => {
    expect(mutantsOf("demand(a !== undefined, 'x');").found).toEqual(['inverted: a !== undefined']);
    expect(mutantsOf("record.check('id', true); f(a && b);").found).toEqual([]);
  });
});
