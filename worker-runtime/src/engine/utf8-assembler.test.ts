import fc from 'fast-check';
import { expect, test } from 'vitest';
import { incompleteTail, Utf8Assembler, utf8Bytes, utf8Text } from './utf8-assembler.ts';

const decode = (bytes: Uint8Array) => new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
/** Bytes that make valid, broken and half characters likely. */
const bytesArbitrary = fc.array(
  fc.oneof(
    fc.constantFrom(
      0x41,
      0x80,
      0x90,
      0xa0,
      0xbf,
      0xc0,
      0xc2,
      0xe0,
      0xe2,
      0xed,
      0xef,
      0xf0,
      0xf1,
      0xf4,
      0xf5,
      0xff,
    ),
    fc.nat(255),
  ),
  { maxLength: 40 },
);

test('a character appears when its last byte does', () => {
  const assembler = new Utf8Assembler();
  const [a, b, c, d] = utf8Bytes('🙂');
  expect([a, b, c, d].map((byte) => assembler.push(Uint8Array.of(byte ?? 0)))).toEqual([
    null,
    null,
    null,
    '🙂',
  ]);
});

test('a byte order mark is kept', () => {
  expect(new Utf8Assembler().push(Uint8Array.of(0xef, 0xbb, 0xbf, 0x41))).toBe('\ufeffA');
});

test('however the bytes are cut, the text is what TextDecoder makes of all of them', () => {
  fc.assert(
    fc.property(bytesArbitrary, fc.infiniteStream(fc.integer({ min: 1, max: 3 })), (list, cuts) => {
      const bytes = Uint8Array.from(list);
      const assembler = new Utf8Assembler();
      let text = '';
      let shown = 0;
      for (let at = 0; at < bytes.length;) {
        const next = Math.min(bytes.length, at + (cuts.next().value ?? 1));
        const whole = assembler.push(bytes.subarray(at, next));
        expect(whole === null).toBe(incompleteTail(bytes.subarray(0, next)) > 0);
        text += whole ?? '';
        if (whole !== null) shown = next;
        at = next;
      }
      expect(text).toBe(decode(bytes.subarray(0, shown)));
    }),
    { numRuns: 2000 },
  );
});

test('the incomplete tail is what a streaming TextDecoder holds back', () => {
  fc.assert(
    fc.property(bytesArbitrary, (list) => {
      const bytes = Uint8Array.from(list);
      const streaming = new TextDecoder('utf-8', { ignoreBOM: true });
      const shown = streaming.decode(bytes, { stream: true });
      expect(shown).toBe(utf8Text(bytes.subarray(0, bytes.length - incompleteTail(bytes))));
    }),
    { numRuns: 2000 },
  );
});
