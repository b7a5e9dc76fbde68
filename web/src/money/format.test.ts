import { NANO_PER_TON } from '@tussah/protocol/money';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { showNano, showPrice, showWire } from './format.ts';

describe('showNano', () => {
  it.each([
    [0n, '0 TON'],
    [1n, '1 nanoTON'],
    [999n, '999 nanoTON'],
    [1000n, '0.000001 TON'],
    [1234n, '0.00000123 TON'],
    [1235n, '0.00000124 TON'],
    [4_000_000n, '0.004 TON'],
    [99_999_999n, '0.1 TON'],
    [NANO_PER_TON, '1 TON'],
    [1_234_567_890n, '1.23 TON'],
    [1_234_567_890_000n, '1\u202F235 TON'],
    [12_345_678n * NANO_PER_TON, '12\u202F345\u202F678 TON'],
    [-1_300_000n, '−0.0013 TON'],
    [-12n, '−12 nanoTON'],
  ])('shows %s as %s', (nano, text) => {
    expect(showNano(nano)).toBe(text);
  });

  it('is never off by more than half of its third digit, and never says zero for something', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: 10n ** 19n }), (nano) => {
        const [number = '', unit] = showNano(nano).replaceAll('\u202F', '').split(' ');
        const shown = Number(number) * (unit === 'TON' ? 1e9 : 1);
        expect(shown).toBeGreaterThan(0);
        expect(Math.abs(shown - Number(nano))).toBeLessThanOrEqual(Number(nano) * 0.0051);
      }),
    );
  });
});

it('shows a missing sum as a dash', () => {
  expect(showWire(null)).toBe('–');
  expect(showWire('1500000')).toBe('0.0015 TON');
});

it('shows a price for reading and writing', () => {
  expect(showPrice({ promptNanoPerMillion: '1000000', completionNanoPerMillion: '4000000' })).toBe(
    '0.001 in, 0.004 out',
  );
});
