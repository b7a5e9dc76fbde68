import type { Padding } from '@tussah/protocol/private/header';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  chunkPlaintextBytes,
  decodeChunk,
  decodeInner,
  encodeChunk,
  encodeInner,
  fitsSealed,
  pacedChunkCount,
  padmeBytes,
  payloadBytes,
  payloadBytesMax,
  splitText,
} from './padding.ts';
import { innerOf } from './sealing-fixture.ts';

const jsonBytesOf = (value: unknown): number => new TextEncoder().encode(JSON.stringify(value)).length;
const paddings: readonly Padding[] = ['none', 'buckets', 'paced'];

describe('the size of a request', () => {
  it.each([
    [0, 1_024],
    [1_024, 1_024],
    // E = 10, S = 4: steps of 64.
    [1_025, 1_088],
    [1_088, 1_088],
    [1_089, 1_152],
    [2_047, 2_048],
    // E = 11, S = 4: steps of 128.
    [2_049, 2_176],
    // E = 16, S = 5: steps of 2,048.
    [65_536, 65_536],
    [65_537, 67_584],
    [638_977, 655_360],
  ])('is Padmé: %i bytes become %i', (bytes, padded) => {
    expect(padmeBytes(bytes)).toBe(padded);
  });

  it('is never smaller than its content, nor more than an eighth larger, and padding it again changes nothing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_024, max: 655_360 }), (bytes) => {
        const padded = padmeBytes(bytes);
        expect(padded).toBeGreaterThanOrEqual(bytes);
        expect(padded).toBeLessThan(bytes * 1.125);
        expect(padmeBytes(padded)).toBe(padded);
      }),
    );
  });

  it('says only E and S significant bits: all sizes of a request are few', () => {
    const sizes = new Set<number>();
    for (let bytes = 1; bytes <= 655_360; bytes++) sizes.add(padmeBytes(bytes));
    // 1,024, then 16 of each power up to 2^15, 32 of each beyond, and eight of the last.
    expect(sizes.size).toBe(1 + 6 * 16 + 3 * 32 + 8);
  });

  it('has an end: what is too large is not sealed', () => {
    const room = 638_976 - 4 - jsonBytesOf(innerOf(''));
    expect(fitsSealed(innerOf('x'.repeat(room)))).toBe(true);
    expect(fitsSealed(innerOf('x'.repeat(room + 1)))).toBe(false);
  });
});

describe('a padded request', () => {
  it('is read as it was written', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 4_000 }), (text) => {
        const bytes = encodeInner(innerOf(text));
        expect(bytes?.length).toBe(padmeBytes(4 + jsonBytesOf(innerOf(text))));
        expect(decodeInner(bytes ?? new Uint8Array())).toEqual(innerOf(text));
      }),
    );
  });

  it.each([
    ['nothing', [], undefined],
    ['half a length', [0, 0, 0], undefined],
    ['a length beyond its end', [0, 0, 0, 3, 0x7b, 0x7d], undefined],
    ['a length beyond 31 bits', [0xff, 0xff, 0xff, 0xff, 0x7b, 0x7d], undefined],
    ['no text', [0, 0, 0, 0], undefined],
    ['text after its end', [0, 0, 0, 2, 0x7b, 0x7d, 0, 1], undefined],
    ['a byte order mark', [0, 0, 0, 5, 0xef, 0xbb, 0xbf, 0x7b, 0x7d], undefined],
    ['bytes that are not UTF-8', [0, 0, 0, 3, 0x22, 0xff, 0x22], undefined],
    ['zeros after its text', [0, 0, 0, 2, 0x7b, 0x7d, 0, 0], {}],
  ])('of %s', (_, bytes, value) => {
    expect(decodeInner(Uint8Array.from(bytes))).toEqual(value);
  });
});

describe('the size of a chunk', () => {
  it.each([
    ['none', 2, 4],
    ['none', 61, 63],
    ['buckets', 2, 64],
    ['buckets', 62, 64],
    ['buckets', 63, 128],
    ['buckets', 16_382, 16_384],
    ['paced', 2, 256],
    ['paced', 254, 256],
  ] as const)('under %s: %i bytes of JSON make %i', (padding, bytes, size) => {
    expect(chunkPlaintextBytes(padding, bytes)).toBe(size);
  });

  it.each(paddings)('under %s ends somewhere', (padding) => {
    const most = payloadBytesMax(padding);
    expect(chunkPlaintextBytes(padding, most)).toBeGreaterThan(most);
    expect(() => chunkPlaintextBytes(padding, most + 1)).toThrow(RangeError);
    expect(() => encodeChunk({ text: 'x'.repeat(most) }, most + 2)).toThrow(RangeError);
  });

  it('leaves room for an end beside some text under paced', () => {
    const end = { finishReason: 'length', promptTokens: 1_048_576, completionTokens: 32_768 } as const;
    expect(payloadBytes({ text: 'x'.repeat(100), end })).toBeLessThanOrEqual(payloadBytesMax('paced'));
  });
});

describe('text in pieces', () => {
  const awkward = fc.string({
    unit: fc.constantFrom('a', '"', '\\', '\n', '\u0000', 'é', '漢', '🙂', '\u2028', '\ud800', '\udc00'),
    maxLength: 600,
  });

  it('fits its chunks, loses nothing and cuts no character', () => {
    fc.assert(
      fc.property(fc.constantFrom(...paddings), awkward, (padding, text) => {
        const pieces = splitText(padding, text);
        expect(pieces.join('')).toBe(text.toWellFormed());
        for (const piece of pieces) {
          expect(piece).not.toBe('');
          expect(piece.isWellFormed()).toBe(true);
          const size = chunkPlaintextBytes(padding, payloadBytes({ text: piece }));
          expect(decodeChunk(encodeChunk({ text: piece }, size))).toEqual({ text: piece });
        }
      }),
    );
  });

  it('uses the room that there is', () => {
    expect(splitText('none', 'x'.repeat(16_371)).length).toBe(1);
    expect(splitText('none', 'x'.repeat(16_372)).map((piece) => piece.length)).toEqual([16_371, 1]);
    expect(splitText('paced', 'x'.repeat(243 * 2)).map((piece) => piece.length)).toEqual([243, 243]);
    expect(splitText('paced', '')).toEqual([]);
  });
});

describe('the number of paced chunks', () => {
  it.each([
    [0, 8],
    [8, 8],
    [9, 10],
    [11, 12],
    [14, 14],
    [15, 16],
    [17, 20],
    [33, 40],
    [100, 112],
    [1_000, 1_024],
    [1_025, 1_280],
  ])('%i becomes %i', (chunks, count) => {
    expect(pacedChunkCount(chunks)).toBe(count);
  });

  it('is the smallest with at most three significant bits', () => {
    fc.assert(
      fc.property(fc.integer({ min: 9, max: 100_000 }), (chunks) => {
        const threeBits = (n: number): boolean => n.toString(2).slice(3).replaceAll('0', '') === '';
        let smallest = chunks;
        while (!threeBits(smallest)) smallest += 1;
        expect(pacedChunkCount(chunks)).toBe(smallest);
      }),
    );
  });
});
