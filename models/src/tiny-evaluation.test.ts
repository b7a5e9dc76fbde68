import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { heldOutSums, isHeldOut, questions } from './tiny-evaluation.ts';

test('about a tenth of the sums is held out, each with its mirror', () => {
  expect(heldOutSums).toHaveLength(1003);
  for (let a = 0; a < 100; a += 7)
    for (let b = 0; b < 100; b++) expect(isHeldOut(a, b)).toBe(isHeldOut(b, a));
});

test('the rule is the first byte of sha256("smaller+larger")', () => {
  const first = (text: string) => createHash('sha256').update(text).digest()[0] ?? 0;
  expect(isHeldOut(73, 2)).toBe(first('2+73') < 26);
  expect(isHeldOut(0, 1)).toBe(first('0+1') < 26);
});

test('held-out sums have the form of the answers', () => {
  expect(heldOutSums).toContainEqual({ prompt: 'What is 2 + 73?', expected: '2 + 73 = 75.' });
});

test('no question teaches a sum, and none is asked twice', () => {
  expect(questions.filter(({ prompt, expected }) => /\d\s*\+\s*\d/.test(prompt + expected))).toEqual([]);
  expect(new Set(questions.map(({ prompt }) => prompt)).size).toBe(questions.length);
});
