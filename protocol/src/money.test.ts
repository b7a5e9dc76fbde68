import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import {
  costOf,
  divideByWeight,
  feeOf,
  formatTon,
  NANO_MAX,
  NanoSchema,
  parseNano,
  parseTon,
  priceFromWire,
  priceToWire,
} from './money.ts';

const nano = fc.bigInt({ min: 0n, max: NANO_MAX });
const count = fc.nat({ max: 10_000_000 });
const price = fc.record({ promptNanoPerMillion: nano, completionNanoPerMillion: nano });

describe('parseNano', () => {
  it('reads what toString writes', () => {
    fc.assert(
      fc.property(nano, (amount) => {
        expect(parseNano(amount.toString())).toBe(amount);
      }),
    );
  });

  it.each([
    '',
    '-1',
    '+1',
    '01',
    '1.0',
    '1e3',
    ' 1',
    '1 ',
    '1\n',
    '٣',
    '0x10',
    '1_000',
    'NaN',
    `${NANO_MAX + 1n}`,
    '9'.repeat(500),
  ])('refuses %j, and so does the schema', (text) => {
    expect(parseNano(text)).toBeUndefined();
    expect(v.is(NanoSchema, text)).toBe(false);
  });

  it('accepts up to more than all TON, which a signed 64-bit integer holds', () => {
    expect(parseNano(NANO_MAX.toString())).toBe(NANO_MAX);
    expect(v.is(NanoSchema, NANO_MAX.toString())).toBe(true);
    expect(NANO_MAX).toBeGreaterThan(5_100_000_000n * 10n ** 9n);
    expect(NANO_MAX).toBeLessThan(2n ** 63n);
  });

  it.each([1, 1n, null, undefined, ['1']])('lets no other type pass for an amount: %s', (value) => {
    expect(v.is(NanoSchema, value)).toBe(false);
  });
});

describe('parseTon and formatTon', () => {
  it('are inverse', () => {
    fc.assert(
      fc.property(nano, (amount) => {
        expect(parseTon(formatTon(amount))).toBe(amount);
      }),
    );
  });

  it.each([
    [0n, '0'],
    [1n, '0.000000001'],
    [1_500_000_000n, '1.5'],
    [-1n, '-0.000000001'],
    [-2_000_000_000n, '-2'],
  ])('writes %s nanoTON as %s', (amount, text) => {
    expect(formatTon(amount)).toBe(text);
  });

  it('never writes an exponent or a zero at the end of a fraction', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -NANO_MAX, max: NANO_MAX }), (amount) => {
        expect(formatTon(amount)).toMatch(/^-?(0|[1-9]\d*)(\.\d*[1-9])?$/);
      }),
    );
  });

  it.each([
    '',
    '.',
    '1.',
    '.5',
    '-1',
    '1,5',
    '1e9',
    '0.0000000001',
    '1.5 TON',
    '9000000000.000000001',
    '1'.repeat(12),
  ])('refuses %j', (text) => {
    expect(parseTon(text)).toBeUndefined();
  });
});

describe('costOf', () => {
  it.each<[bigint, bigint, number, number, bigint]>([
    [0n, 0n, 5, 5, 0n],
    [1n, 1n, 0, 0, 0n],
    [1n, 0n, 1, 0, 1n],
    [1_000_000n, 0n, 3, 9, 3n],
    [1_000_000n, 2_000_000n, 3, 4, 11n],
    [500_000n, 500_000n, 1, 1, 1n],
    [500_000n, 500_001n, 1, 1, 2n],
  ])('of prices %s and %s for %s and %s tokens is %s', (prompt, completion, promptTokens, tokens, cost) => {
    const price = { promptNanoPerMillion: prompt, completionNanoPerMillion: completion };
    expect(costOf(price, promptTokens, tokens)).toBe(cost);
  });

  it('rounds up by less than one nanoTON, once for the job', () => {
    fc.assert(
      fc.property(price, count, count, (price, promptTokens, tokens) => {
        const cost = costOf(price, promptTokens, tokens);
        const exact =
          price.promptNanoPerMillion * BigInt(promptTokens) + price.completionNanoPerMillion * BigInt(tokens);
        const over = cost * 1_000_000n - exact;
        expect(over >= 0n && over < 1_000_000n).toBe(true);
      }),
    );
  });

  it('never gets cheaper with more tokens', () => {
    fc.assert(
      fc.property(price, count, count, (price, a, b) => {
        expect(costOf(price, a + 1, b) >= costOf(price, a, b)).toBe(true);
        expect(costOf(price, a, b + 1) >= costOf(price, a, b)).toBe(true);
      }),
    );
  });

  it.each([1.5, Number.NaN, Number.POSITIVE_INFINITY])('throws on a count of %s', (tokens) => {
    const price = { promptNanoPerMillion: 1n, completionNanoPerMillion: 1n };
    expect(() => costOf(price, tokens, 0)).toThrow(RangeError);
  });
});

describe('feeOf', () => {
  it('is never more than the charge and rounds down', () => {
    expect([feeOf(999n, 1_000), feeOf(1n, 9_999), feeOf(7n, 10_000), feeOf(7n, 0)]).toEqual([
      99n,
      0n,
      7n,
      0n,
    ]);
    fc.assert(
      fc.property(nano, fc.nat({ max: 10_000 }), (charged, basisPoints) => {
        const fee = feeOf(charged, basisPoints);
        expect(fee >= 0n && fee <= charged).toBe(true);
      }),
    );
  });
});

describe('divideByWeight', () => {
  const weights = fc.array(fc.oneof(fc.nat(9), fc.maxSafeNat()), { minLength: 1, maxLength: 12 });

  it('gives parts that add up to the sum', () => {
    fc.assert(
      fc.property(nano, weights, (sum, weights) => {
        const parts = divideByWeight(sum, weights);
        const anything = weights.some((weight) => weight > 0);
        expect(parts.reduce((a, b) => a + b, 0n)).toBe(anything ? sum : 0n);
        expect(parts).toHaveLength(weights.length);
      }),
    );
  });

  it('gives each its share, give or take one nanoTON, and nothing to weight zero', () => {
    fc.assert(
      fc.property(nano, weights, (sum, weights) => {
        const total = weights.reduce((a, b) => a + BigInt(b), 0n);
        fc.pre(total > 0n);
        divideByWeight(sum, weights).forEach((part, i) => {
          const share = (sum * BigInt(weights[i] ?? 0)) / total;
          expect(part === share || part === share + 1n).toBe(true);
          if (weights[i] === 0) expect(part).toBe(0n);
        });
      }),
    );
  });

  it('adds weights up exactly, beyond what a double holds', () => {
    const largest = Number.MAX_SAFE_INTEGER;
    expect(divideByWeight(10n, [largest, largest, 3])).toEqual([5n, 5n, 0n]);
    const sum = 9_007_199_254_740_991n * 2n + 3n;
    expect(divideByWeight(sum, [largest, largest, 3])).toEqual([BigInt(largest), BigInt(largest), 3n]);
  });

  it('gives the remainder to the first', () => {
    expect(divideByWeight(5n, [0, 1, 1, 1])).toEqual([0n, 2n, 2n, 1n]);
    expect(divideByWeight(5n, [])).toEqual([]);
    expect(divideByWeight(5n, [0, 0])).toEqual([0n, 0n]);
  });

  it('throws on a negative sum and on weights that are negative or not whole', () => {
    for (const weights of [[-1, 2], [1.5], [Number.NaN]])
      expect(() => divideByWeight(5n, weights)).toThrow(RangeError);
    expect(() => divideByWeight(-5n, [1])).toThrow(RangeError);
  });
});

it('prices survive the wire', () => {
  fc.assert(
    fc.property(price, (price) => {
      expect(priceFromWire(priceToWire(price))).toEqual(price);
    }),
  );
});
