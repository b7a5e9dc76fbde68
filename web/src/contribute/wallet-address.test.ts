import { describe, expect, it } from 'vitest';
import { readWallet } from './wallet-address.ts';

// The zero address and the elector's, as TON's own documentation writes them.
const zero = 'EQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAM9c';
const zeroNonBounceable = 'UQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJKZ';
const elector = 'Ef8zMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzMzM0vF';

describe('readWallet', () => {
  it.each([zero, zeroNonBounceable, elector])('takes %s', (address) => {
    expect(readWallet(address)).toEqual({ ok: true, address });
  });

  it('takes spaces around it', () => {
    expect(readWallet(` ${zero}\n`)).toEqual({ ok: true, address: zero });
  });

  it('finds every single wrong character', () => {
    for (let i = 0; i < elector.length; i++) {
      const wrong = `${elector.slice(0, i)}${elector[i] === 'x' ? 'y' : 'x'}${elector.slice(i + 1)}`;
      expect(readWallet(wrong).ok, wrong).toBe(false);
    }
  });

  it.each([
    ['too short', zero.slice(1)],
    ['too long', `${zero}A`],
    ['raw', `0:${'0'.repeat(64)}`],
    ['empty', ''],
    ['of the test network', 'kQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAHTW'],
    ['of unknown kind', 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'],
  ])('refuses one that is %s', (_, address) => {
    expect(readWallet(address).ok).toBe(false);
  });
});
