import fc from 'fast-check';
import { expect, it } from 'vitest';
import * as v from 'valibot';
import { base64Of, base64OfBytes, bytesOfBase64 } from './base64.ts';

it('bytes and text are each other, of any length', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20_000 }), (bytes) => {
      const text = base64OfBytes(bytes);
      expect(text).toBe(Buffer.from(bytes).toString('base64'));
      expect(bytesOfBase64(text, bytes.length)).toEqual(new Uint8Array(bytes));
      expect(v.is(base64Of(bytes.length), text)).toBe(true);
      if (bytes.length > 0) expect(bytesOfBase64(text, bytes.length - 1)).toBeUndefined();
    }),
  );
});

it.each([
  'A',
  'AA',
  'AAA',
  'AA=',
  'AB==',
  'AAB=',
  '====',
  'AA==AA==',
  'AAA-',
  'AAA_',
  ' AAAA',
  'AAAA\n',
  'AAAé',
])('%j is not base64', (text) => {
  expect(bytesOfBase64(text, 100)).toBeUndefined();
  expect(v.is(base64Of(100), text)).toBe(false);
});
