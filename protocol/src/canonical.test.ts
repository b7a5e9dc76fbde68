import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalText, signedBytes, type Canonical } from './canonical.ts';

/** Values of the kind that is signed. */
const value = fc.letrec<{ value: Canonical; leaf: Canonical }>((tie) => ({
  leaf: fc.oneof(fc.constant(null), fc.boolean(), fc.maxSafeInteger(), fc.string({ unit: 'grapheme' })),
  value: fc.oneof(
    { depthSize: 'small' },
    tie('leaf'),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.dictionary(fc.string({ unit: 'grapheme' }), tie('value'), { maxKeys: 4 }),
  ),
})).value;

describe('canonicalText', () => {
  it('writes the string of RFC 8785 section 3.2.2 as the RFC does', () => {
    const string = JSON.parse('"\\u20ac$\\u000F\\u000aA\'\\u0042\\u0022\\u005c\\\\\\"\\/"');
    expect(canonicalText({ string, literals: [null, true, false] })).toBe(
      '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}',
    );
  });

  it('sorts the keys of RFC 8785 section 3.2.3 by UTF-16 code units', () => {
    const input = {
      '\u20ac': 'Euro Sign',
      '\r': 'Carriage Return',
      '\ufb33': 'Hebrew Letter Dalet With Dagesh',
      '1': 'One',
      '\u{1f600}': 'Emoji: Grinning Face',
      '\u0080': 'Control',
      '\u00f6': 'Latin Small Letter O With Diaeresis',
    };
    const values = Object.values(JSON.parse(canonicalText(input)) as object);
    // The integer-like key comes first in any JavaScript object; the text shows the real order.
    expect(canonicalText(input).indexOf('\\r')).toBeLessThan(canonicalText(input).indexOf('One'));
    expect(new Set(values)).toEqual(new Set(Object.values(input)));
    const order = ['Carriage Return', 'One', 'Control', 'Latin', 'Euro', 'Emoji', 'Hebrew'];
    const positions = order.map((word) => canonicalText(input).indexOf(word));
    expect(positions).toEqual(positions.toSorted((a, b) => a - b));
  });

  it('leaves out members that are undefined, at any depth', () => {
    expect(canonicalText({ b: undefined, a: { c: undefined } })).toBe('{"a":{}}');
  });

  it('is JSON for the same value, and its own canonical form', () => {
    fc.assert(
      fc.property(value, (value) => {
        const text = canonicalText(value);
        // As members: JSON.parse makes __proto__ an ordinary one.
        expect(canonicalText(JSON.parse(text) as Canonical)).toBe(text);
        expect(JSON.stringify(sorted(JSON.parse(text)))).toBe(JSON.stringify(sorted(value)));
      }),
    );
  });

  it('does not depend on the order of members', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), fc.func(fc.integer()), (record, order) => {
        const shuffled = Object.fromEntries(Object.entries(record).sort(([a], [b]) => order(a) - order(b)));
        expect(canonicalText(shuffled)).toBe(canonicalText(record));
      }),
    );
  });

  it('gives different values different texts', () => {
    fc.assert(
      fc.property(value, value, (a, b) => {
        const same = JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));
        expect(canonicalText(a) === canonicalText(b)).toBe(same);
      }),
    );
  });

  it.each<[string, unknown]>([
    ['NaN', Number.NaN],
    ['infinity', Number.POSITIVE_INFINITY],
    ['a fraction', 0.5],
    ['more than a safe integer', 2 ** 53],
    ['a lone high surrogate', '\ud800'],
    ['a lone low surrogate', 'a\udc00b'],
    ['a lone surrogate in a name', { '\ud800': 1 }],
    ['a bigint', 1n],
    ['a function', () => 1],
    ['a symbol', Symbol('s')],
    ['undefined', undefined],
    ['undefined in an array', [undefined]],
  ])('throws on %s, at any depth', (_, bad) => {
    if (bad !== undefined) expect(() => canonicalText({ deep: [bad] } as Canonical)).toThrow(RangeError);
    expect(() => canonicalText(bad as Canonical)).toThrow(RangeError);
  });

  it('writes minus zero as zero and safe integers as they are', () => {
    expect(canonicalText([-0, 0, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER])).toBe(
      '[0,0,9007199254740991,-9007199254740991]',
    );
  });
});

describe('signedBytes', () => {
  it('puts the domain on a line before the text, in UTF-8', () => {
    expect(new TextDecoder().decode(signedBytes('domain/1', { é: 1 }))).toBe('domain/1\n{"é":1}');
  });
});

/** Another way to the same order, for comparison. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return { members: members.map(([key, member]) => [key, sorted(member)]) };
}
