import { expect, it } from 'vitest';
import { isPlainJson } from './plain-json.ts';

const nested = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

it.each([
  ['evidence', true, JSON.stringify({ a: [1, { b: '[[[' }], c: 'x'.repeat(1_000_000) })],
  ['32 levels', true, nested(32)],
  ['33 levels', false, nested(33)],
  ['levels that never close', false, '{"a":'.repeat(100)],
  ['brackets and quotes in strings', true, JSON.stringify(`\\"${'['.repeat(500)}"\\\\`)],
  ['brackets after a string that ends with a backslash', false, `"\\\\",${nested(33)}`],
  ['too many values', false, `[${'1,'.repeat(100_000)}1]`],
  [
    'too many empty objects, side by side',
    false,
    `[${Array.from({ length: 60_000 }, () => '{}').join(',')}]`,
  ],
])('knows %s', (_, plain, text) => {
  expect(isPlainJson(text)).toBe(plain);
});
