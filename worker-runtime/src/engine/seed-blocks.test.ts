import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fakeCodec } from './fake-codec.ts';
import { blockAfter } from './seed-blocks.ts';

const ids = (text: string) => fakeCodec.encode(text);

test('a block ends at the first whole character at or after its size', () => {
  expect(blockAfter(ids('abcd'), fakeCodec, 4)).toEqual({ block: 1, position: 4 });
  expect(blockAfter(ids('abc'), fakeCodec, 4)).toEqual({ block: 0, position: 0 });
  // The emoji's four tokens begin inside the first block and end beyond its size.
  expect(blockAfter(ids('abc🙂'), fakeCodec, 4)).toEqual({ block: 1, position: 7 });
  expect(blockAfter(ids('abc🙂defgh'), fakeCodec, 4)).toEqual({ block: 2, position: 11 });
});

test('with a size of 1 each token is a block, also inside a character', () => {
  expect(blockAfter(ids('🙂').slice(0, 2), fakeCodec, 1)).toEqual({ block: 2, position: 2 });
});

test('the borders that a prefix has are those of the whole answer', () => {
  const piece = fc.oneof(fc.constantFrom('a', ' the', '🙂', 'é', '日'), fc.string({ maxLength: 3 }));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), fc.integer({ min: 2, max: 9 }), (pieces, size) => {
      const whole = ids(pieces.join('').replaceAll('<bos>', ''));
      let last = { block: 0, position: 0 };
      for (let length = 0; length <= whole.length; length++) {
        const start = blockAfter(whole.slice(0, length), fakeCodec, size);
        const same = start.block === last.block && start.position === last.position;
        expect(same || (start.block === last.block + 1 && start.position === length)).toBe(true);
        expect(length - start.position).toBeLessThan(size + 4);
        last = start;
      }
    }),
  );
});
