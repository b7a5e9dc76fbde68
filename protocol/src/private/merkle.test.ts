import { sha256 } from '@noble/hashes/sha2.js';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bytesOfHex, hexOf } from '../bytes.ts';
import { MerkleLog, verifyConsistency, verifyInclusion } from './merkle.ts';

/** The tree that implementations of Certificate Transparency (RFC 6962) are tested with; all entries are ASCII. */
const knownEntries = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map((hex) => new TextDecoder().decode(bytesOfHex(hex)));

const knownRoots = [
  'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const knownHashes = {
  second: '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7',
  secondPair: '5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e',
  secondHalf: '6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4',
  fifth: 'bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b',
  thirdPair: '0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a',
  fourthPair: 'ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0',
};

const logOf = (entries: readonly string[]): MerkleLog => {
  const log = new MerkleLog();
  for (const entry of entries) log.append(entry);
  return log;
};
const entriesOf = (size: number): string[] => Array.from({ length: size }, (_, i) => `entry ${i} — é`);

describe('the tree of Certificate Transparency', () => {
  const log = logOf(knownEntries);

  it('has the known roots at each size', () => {
    expect(knownRoots.map((_, size) => log.rootHash(size))).toEqual(knownRoots);
  });

  it.each([
    [0, 1, []],
    [0, 8, [knownHashes.second, knownHashes.secondPair, knownHashes.secondHalf]],
    [5, 8, [knownHashes.fifth, knownHashes.fourthPair, knownRoots[4]]],
    [2, 3, [knownRoots[2]]],
  ])('has the known inclusion proof of entry %i in %i', (index, size, proof) => {
    expect(log.inclusionProof(index, size)).toEqual(proof);
  });

  it.each([
    [1, 1, []],
    [1, 8, [knownHashes.second, knownHashes.secondPair, knownHashes.secondHalf]],
    [6, 8, [knownHashes.thirdPair, knownHashes.fourthPair, knownRoots[4]]],
    [2, 5, [knownHashes.secondPair, knownHashes.fifth]],
  ])('has the known consistency proof from %i to %i', (from, to, proof) => {
    expect(log.consistencyProof(from, to)).toEqual(proof);
  });
});

/** Section 2.1 word by word, on whole lists. */
const reference = {
  root(entries: readonly string[]): Uint8Array {
    const [first] = entries;
    if (first === undefined) return sha256(new Uint8Array());
    if (entries.length === 1) return sha256(Uint8Array.of(0, ...new TextEncoder().encode(first)));
    const k = reference.split(entries.length);
    return sha256(
      Uint8Array.of(1, ...reference.root(entries.slice(0, k)), ...reference.root(entries.slice(k))),
    );
  },
  path(m: number, entries: readonly string[]): Uint8Array[] {
    if (entries.length === 1) return [];
    const k = reference.split(entries.length);
    const [left, right] = [entries.slice(0, k), entries.slice(k)];
    return m < k
      ? [...reference.path(m, left), reference.root(right)]
      : [...reference.path(m - k, right), reference.root(left)];
  },
  subproof(m: number, entries: readonly string[], known: boolean): Uint8Array[] {
    if (m === entries.length) return known ? [] : [reference.root(entries)];
    const k = reference.split(entries.length);
    const [left, right] = [entries.slice(0, k), entries.slice(k)];
    return m <= k
      ? [...reference.subproof(m, left, known), reference.root(right)]
      : [...reference.subproof(m - k, right, false), reference.root(left)];
  },
  split: (n: number): number => 2 ** Math.floor(Math.log2(n - 1)),
};

const SIZE_MAX = 64;

describe('every size up to 64', () => {
  const entries = entriesOf(SIZE_MAX);
  const log = logOf(entries);
  const roots = Array.from({ length: SIZE_MAX + 1 }, (_, size) => log.rootHash(size));
  const sizes = Array.from({ length: SIZE_MAX }, (_, i) => i + 1);

  it('has the roots and proofs of the definition', () => {
    for (const size of sizes) {
      const these = entries.slice(0, size);
      expect(roots[size]).toBe(hexOf(reference.root(these)));
      for (let i = 0; i < size; i++)
        expect(log.inclusionProof(i, size)).toEqual(reference.path(i, these).map(hexOf));
      for (let from = 1; from <= size; from++)
        expect(log.consistencyProof(from, size)).toEqual(reference.subproof(from, these, true).map(hexOf));
    }
  }, 60_000);

  it('proves each entry at its own index and at no other', () => {
    for (const size of sizes)
      for (let index = 0; index < size; index++) {
        const inclusion = {
          entry: entries[index] ?? '',
          size,
          rootHash: roots[size] ?? '',
          proof: log.inclusionProof(index, size),
        };
        expect(verifyInclusion({ ...inclusion, index })).toBe(true);
        for (const other of [index - 1, index + 1, (index + 7) % size])
          if (other !== index) expect(verifyInclusion({ ...inclusion, index: other })).toBe(false);
      }
  });

  it('proves each earlier size and refuses another root on either side', () => {
    for (const to of sizes)
      for (let from = 0; from <= to; from++) {
        const proof = log.consistencyProof(from, to);
        const consistency = { from, fromRoot: roots[from] ?? '', to, toRoot: roots[to] ?? '', proof };
        expect(verifyConsistency(consistency)).toBe(true);
        const [wrong] = roots.filter((root) => root !== consistency.fromRoot && root !== consistency.toRoot);
        expect(verifyConsistency({ ...consistency, fromRoot: wrong ?? '' })).toBe(false);
        // From nothing, any tree goes on.
        expect(verifyConsistency({ ...consistency, toRoot: wrong ?? '' })).toBe(from === 0);
      }
  });
});

describe('proofs that were changed', () => {
  const log = logOf(entriesOf(100));
  const sizes = fc
    .tuple(fc.integer({ min: 2, max: 100 }), fc.nat())
    .map(([size, n]) => ({ size, index: n % size }));
  const flipped = (proof: readonly string[], place: number, bit: number): string[] => {
    const bytes = bytesOfHex(proof[place % proof.length] ?? '') ?? new Uint8Array();
    bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return proof.with(place % proof.length, hexOf(bytes));
  };
  const bit = fc.nat({ max: 255 });

  it('are refused: a bit flipped, one left out, one added, two swapped', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), bit, ({ size, index }, place, at) => {
        const proof = log.inclusionProof(index, size);
        const known = { entry: entriesOf(100)[index] ?? '', index, size, rootHash: log.rootHash(size) };
        for (const changed of changes(proof, place, at))
          expect(verifyInclusion({ ...known, proof: changed })).toBe(false);
      }),
    );
    fc.assert(
      fc.property(sizes, fc.nat(), bit, ({ size, index }, place, at) => {
        const from = index + 1;
        const proof = log.consistencyProof(from, size);
        const known = { from, fromRoot: log.rootHash(from), to: size, toRoot: log.rootHash(size) };
        for (const changed of changes(proof, place, at))
          expect(verifyConsistency({ ...known, proof: changed })).toBe(false);
      }),
    );
  });

  const changes = (proof: readonly string[], place: number, at: number): string[][] => [
    [...proof, log.rootHash(1)],
    ...(proof.length === 0 ? [] : [flipped(proof, place, at), proof.slice(1), proof.slice(0, -1)]),
    ...(proof.length < 2 ? [] : [[proof[1] ?? '', proof[0] ?? '', ...proof.slice(2)]]),
  ];

  it('are refused in another spelling', () => {
    const proof = log.inclusionProof(3, 90);
    const known = { entry: entriesOf(4)[3] ?? '', index: 3, size: 90, rootHash: log.rootHash(90) };
    expect(verifyInclusion({ ...known, proof })).toBe(true);
    for (const first of [proof[0]?.toUpperCase(), `${proof[0]} `, '', `0x${proof[0]?.slice(2)}`])
      expect(verifyInclusion({ ...known, proof: [first ?? '', ...proof.slice(1)] })).toBe(false);
  });

  it.each([
    [-1, 8],
    [8, 8],
    [0.5, 8],
    [0, 2 ** 53],
    [0, Number.NaN],
    [Infinity, Infinity],
  ])('are refused for entry %d of %d', (index, size) => {
    const proof = log.inclusionProof(0, 8);
    const [entry] = entriesOf(1);
    expect(verifyInclusion({ entry: entry ?? '', index, size, rootHash: log.rootHash(8), proof })).toBe(
      false,
    );
  });
});

describe('proofs of another shape', () => {
  const log = logOf(['a', 'b', 'c', 'd']);
  const roots = [0, 1, 2, 3, 4].map((size) => log.rootHash(size));
  const [empty = '', one = '', two = '', three = '', four = ''] = roots;
  const above = (left: string, right: string): string =>
    hexOf(sha256(Uint8Array.of(1, ...(bytesOfHex(left) ?? []), ...(bytesOfHex(right) ?? []))));

  it('are refused where the tree is deeper than its size', () => {
    const inclusion = { entry: 'b', index: 0, size: 1, rootHash: two };
    expect(above(one, logOf(['b']).rootHash())).toBe(two);
    expect(verifyInclusion({ ...inclusion, proof: [one] })).toBe(false);
    const proof = [...log.consistencyProof(3, 4), empty];
    const deeper = { fromRoot: above(empty, three), toRoot: above(empty, four), proof };
    expect(verifyConsistency({ from: 3, to: 4, ...deeper })).toBe(false);
  });

  it('are refused where the tree is less deep than its size', () => {
    const inclusion = { entry: 'a', index: 0, proof: log.inclusionProof(0, 2), rootHash: two };
    expect(verifyInclusion({ ...inclusion, size: 2 })).toBe(true);
    expect(verifyInclusion({ ...inclusion, size: 3 })).toBe(false);
    const consistency = { from: 1, fromRoot: one, toRoot: two, proof: log.consistencyProof(1, 2) };
    expect(verifyConsistency({ ...consistency, to: 2 })).toBe(true);
    expect(verifyConsistency({ ...consistency, to: 3 })).toBe(false);
  });

  it('are refused where there is nothing to prove', () => {
    expect(verifyConsistency({ from: 0, fromRoot: empty, to: 4, toRoot: four, proof: [one] })).toBe(false);
    expect(verifyConsistency({ from: 4, fromRoot: four, to: 4, toRoot: four, proof: [one] })).toBe(false);
    expect(verifyConsistency({ from: 2, fromRoot: two, to: 4, toRoot: four, proof: [] })).toBe(false);
    expect(verifyConsistency({ from: 4, fromRoot: four, to: 2, toRoot: four, proof: [] })).toBe(false);
  });

  it.each([
    [-1, 4],
    [0.5, 4],
    [Number.NaN, 4],
    [2, Number.NaN],
    [2, Infinity],
    [2, 2 ** 53],
    [4, 2],
  ])('are refused from %d to %d', (from, to) => {
    const consistency = { fromRoot: two, toRoot: four, proof: log.consistencyProof(2, 4) };
    expect(verifyConsistency({ ...consistency, from, to })).toBe(false);
  });
});

describe('sizes beyond 32 bits', () => {
  // A proof that 2^40 + 1 entries are a tree of 2^40 and one more.
  it('are halved without losing bits', () => {
    const [left, right] = [logOf(['a']).rootHash(), logOf(['b']).rootHash()];
    const toRoot = hexOf(
      sha256(
        Uint8Array.of(
          1,
          ...(bytesOfHex(left) ?? new Uint8Array()),
          ...(bytesOfHex(right) ?? new Uint8Array()),
        ),
      ),
    );
    const large = { fromRoot: left, toRoot, proof: [right] };
    expect(verifyConsistency({ ...large, from: 2 ** 40, to: 2 ** 40 + 1 })).toBe(true);
    expect(verifyConsistency({ ...large, from: 2 ** 40 - 1, to: 2 ** 40 })).toBe(false);
    expect(
      verifyInclusion({ entry: 'b', index: 2 ** 40, size: 2 ** 40 + 1, rootHash: toRoot, proof: [left] }),
    ).toBe(true);
  });
});

describe('a log', () => {
  it('says the index of each entry, and refuses what it does not have', () => {
    const log = new MerkleLog();
    expect([log.append('a'), log.append('b'), log.size]).toEqual([0, 1, 2]);
    expect(() => log.rootHash(3)).toThrow(RangeError);
    expect(() => log.rootHash(0.5)).toThrow(RangeError);
    expect(() => log.inclusionProof(2, 2)).toThrow(RangeError);
    expect(() => log.inclusionProof(-1, 2)).toThrow(RangeError);
    expect(() => log.inclusionProof(0, 3)).toThrow(RangeError);
    expect(() => log.consistencyProof(2, 1)).toThrow(RangeError);
    expect(() => log.consistencyProof(-1, 1)).toThrow(RangeError);
  });

  it('tells an entry from a node: no list of two hashes passes for a leaf', () => {
    const pair = logOf(['a', 'b']);
    const forged = String.fromCharCode(1) + pair.rootHash();
    expect(verifyInclusion({ entry: forged, index: 0, size: 1, rootHash: pair.rootHash(), proof: [] })).toBe(
      false,
    );
  });
});
