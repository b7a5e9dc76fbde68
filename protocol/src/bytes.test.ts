import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOfHex, hashOfIds, hexOf, IdsHasher, sha256Hex } from './bytes.ts';

describe('hexadecimal', () => {
  it('survives the way there and back', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(bytesOfHex(hexOf(bytes))).toEqual(bytes);
      }),
    );
  });
  it.each(['a', 'gg', '0x', ' 00', '00\n', '٠٠'])('is not %j', (text) => {
    expect(bytesOfHex(text)).toBeUndefined();
  });
});

describe('hashes', () => {
  it('are those of FIPS 180-4, of UTF-8 for text', () => {
    expect(sha256Hex('')).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
    expect(sha256Hex('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
    expect(sha256Hex('é')).toBe(sha256Hex(Uint8Array.of(0xc3, 0xa9)));
  });
  it('of token ids are over little-endian 32-bit integers', () => {
    // Computed with Python's hashlib and struct.
    expect(hashOfIds([0, 1, 258, 0xff_ffff])).toBe(
      'e758076439fbe807bba4cd5ae8c6c47edde7fc71c84d8a9cdccc73fc81f2acf5',
    );
    expect(hashOfIds([])).toBe(sha256Hex(''));
  });
  it('of token ids are the same however they come, and whenever they are asked for', () => {
    const ids = fc.array(fc.nat({ max: 0xff_ffff }));
    fc.assert(
      fc.property(fc.array(ids), (parts) => {
        const hasher = new IdsHasher();
        for (const [i, part] of parts.entries()) {
          hasher.add(part);
          expect(hasher.hash()).toBe(hashOfIds(parts.slice(0, i + 1).flat()));
        }
      }),
    );
  });
});
