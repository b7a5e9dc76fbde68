import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadTokenizer } from '@tussah/models/tokenizer';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { codecOf } from './tokenizers.ts';

const file = resolve(import.meta.dirname, '../../../models/tiny/tokenizer.json');
const loaded = loadTokenizer(JSON.parse(readFileSync(file, 'utf8')));
if (!loaded.ok) throw new Error(loaded.failure.message);
const tokenizer = loaded.value;
const codec = codecOf(tokenizer);

describe('a codec', () => {
  test('reads ids as their bytes read together, whole tokens or parts of characters', () => {
    const id = fc.integer({ min: 0, max: tokenizer.size - 1 }).filter((id) => !tokenizer.specialIds.has(id));
    const lossy = new TextDecoder('utf-8', { ignoreBOM: true });
    fc.assert(
      fc.property(fc.array(id, { maxLength: 12 }), (ids) => {
        const known = ids.every((each) => tokenizer.bytesOf(each).length > 0);
        const expected = known ? lossy.decode(tokenizer.decodeBytes(ids, { start: false })) : undefined;
        expect(codec.textOf(ids)).toBe(expected);
      }),
    );
  });

  test('gives back any text that was encoded, a byte order mark included', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const ids = tokenizer.encode(`\uFEFF${text}`);
        fc.pre(ids.every((each) => !tokenizer.specialIds.has(each)));
        expect(codec.textOf(ids)).toBe(tokenizer.decode(ids));
        expect(codec.count(`\uFEFF${text}`)).toBe(ids.length);
      }),
    );
  });

  test('knows neither control tokens nor ids beyond the vocabulary', () => {
    const [control] = tokenizer.specialIds;
    expect(codec.textOf([control ?? 0])).toBeUndefined();
    expect(codec.textOf([tokenizer.size, 5])).toBeUndefined();
    expect(codec.textOf([0xff_ff_ff])).toBeUndefined();
  });
});
