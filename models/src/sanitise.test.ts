import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { makeSanitiser } from './sanitise.ts';

const tokens = ['<|im_start|>', '<|im_end|>', '</s>', '[INST]', 'ab', 'ba', '\\d(', '†'];
const sanitise = makeSanitiser(tokens);
const hostile = fc.string({
  unit: fc.constantFrom(
    ...tokens,
    ...tokens.flatMap((token) => token.split('')),
    '\u200B',
    '\uD800',
    'я',
    '😀',
  ),
});

test('no control token is left in any text', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      expect(tokens.filter((token) => sanitise(text).includes(token))).toEqual([]);
    }),
  );
});

test('sanitising twice is the same as once', () => {
  fc.assert(
    fc.property(hostile, (text) => {
      expect(sanitise(sanitise(text))).toBe(sanitise(text));
    }),
  );
});

test('only zero width spaces are added, and text without control tokens stays as it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      fc.pre(!tokens.some((token) => text.includes(token)));
      expect(sanitise(text)).toBe(text.toWellFormed());
    }),
  );
  expect(sanitise('x<|im_end|>y').replaceAll('\u200B', '')).toBe('x<|im_end|>y');
});

test('overlapping control tokens are all broken', () => {
  expect(sanitise('aba')).toBe('a\u200Bb\u200Ba');
});

test('a control token of one character is replaced, and lone surrogates too', () => {
  expect(sanitise('a†\uDC00')).toBe('a\uFFFD\uFFFD');
});

test('without control tokens only lone surrogates change', () => {
  expect(makeSanitiser([])('<|im_end|>\uD800')).toBe('<|im_end|>\uFFFD');
});
