import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { apply, faultOf, netEntries, type Balances, type Entry, type Transaction } from './ledger.ts';

const transaction = (...entries: [string, bigint][]): Transaction => ({
  key: 'key',
  kind: 'credit',
  atMs: 0,
  receiptId: null,
  entries: entries.map(([account, amountNano]) => ({ account, amountNano })),
});

describe('faultOf', () => {
  const balances = new Map([
    ['a', 5n],
    ['world:development', -5n],
  ]);
  it.each<[string | undefined, [string, bigint][]]>([
    [
      undefined,
      [
        ['a', -5n],
        ['b', 5n],
      ],
    ],
    [
      undefined,
      [
        ['world:development', -9n],
        ['b', 9n],
      ],
    ],
    [
      undefined,
      [
        ['world:new', -9n],
        ['b', 9n],
      ],
    ],
    [
      undefined,
      [
        ['a', -3n],
        ['b', 1n],
        ['c', 2n],
      ],
    ],
    ['empty', []],
    ['empty', [['a', -5n]]],
    [
      'zero-entry',
      [
        ['a', 0n],
        ['b', 0n],
      ],
    ],
    [
      'repeated-account',
      [
        ['a', -5n],
        ['a', 5n],
      ],
    ],
    [
      'unbalanced',
      [
        ['a', -5n],
        ['b', 4n],
      ],
    ],
    [
      'unbalanced',
      [
        ['a', 5n],
        ['b', 5n],
      ],
    ],
    [
      'overdrawn',
      [
        ['a', -6n],
        ['b', 6n],
      ],
    ],
    [
      'overdrawn',
      [
        ['unknown', -1n],
        ['b', 1n],
      ],
    ],
    // Only the prefix with its colon names the other side of money.
    [
      'overdrawn',
      [
        ['world', -1n],
        ['b', 1n],
      ],
    ],
    [
      'overdrawn',
      [
        ['client:world:', -1n],
        ['b', 1n],
      ],
    ],
  ])('is %s for case %#', (fault, entries) => {
    expect(faultOf(balances, transaction(...entries))).toBe(fault);
  });
});

describe('apply', () => {
  it('moves the amounts', () => {
    const balances: Balances = new Map([['a', 5n]]);
    apply(balances, transaction(['a', -3n], ['b', 3n]));
    expect(Object.fromEntries(balances)).toEqual({ a: 2n, b: 3n });
  });

  it('throws on a fault and changes nothing', () => {
    const balances: Balances = new Map([['a', 5n]]);
    expect(() => apply(balances, transaction(['a', -6n], ['b', 6n]))).toThrow(/overdrawn/);
    expect(Object.fromEntries(balances)).toEqual({ a: 5n });
  });
});

const entries = fc.array(
  fc.record({
    account: fc.constantFrom('a', 'b', 'c', 'world:x', 'world:y'),
    amountNano: fc.bigInt({ min: -20n, max: 20n }),
  }),
  { maxLength: 6 },
);
const sum = (entries: Iterable<Entry>) =>
  [...entries].reduce((total, { amountNano }) => total + amountNano, 0n);

describe('any history', () => {
  it('keeps the sum over all accounts at zero and every account but the world above it', () => {
    fc.assert(
      fc.property(fc.array(entries, { maxLength: 30 }), (history) => {
        const balances: Balances = new Map();
        for (const entries of history) {
          // Completed by the world, so that most of them are balanced.
          const completed = netEntries([...entries, { account: 'world:x', amountNano: -sum(entries) }]);
          const next = { ...transaction(), entries: completed };
          if (faultOf(balances, next) === undefined) apply(balances, next);
          expect([...balances.values()].reduce((a, b) => a + b, 0n)).toBe(0n);
          for (const [account, nano] of balances)
            expect(nano >= 0n || account.startsWith('world:')).toBe(true);
        }
      }),
    );
  });

  it('never gets past a fault: unbalanced entries are not applied', () => {
    fc.assert(
      fc.property(entries, (entries) => {
        fc.pre(entries.length > 1 && sum(entries) !== 0n);
        expect(faultOf(new Map(), { ...transaction(), entries })).not.toBeUndefined();
      }),
    );
  });
});

describe('netEntries', () => {
  it('joins what is of one account, drops what is nothing, and keeps the sum', () => {
    expect(
      netEntries([
        { account: 'a', amountNano: 5n },
        { account: 'b', amountNano: 2n },
        { account: 'a', amountNano: -1n },
        { account: 'b', amountNano: -2n },
      ]),
    ).toEqual([{ account: 'a', amountNano: 4n }]);
    fc.assert(
      fc.property(entries, (entries) => {
        const net = netEntries(entries);
        expect(sum(net)).toBe(sum(entries));
        expect(new Set(net.map(({ account }) => account)).size).toBe(net.length);
        expect(net.some(({ amountNano }) => amountNano === 0n)).toBe(false);
      }),
    );
  });
});
