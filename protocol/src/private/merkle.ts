/**
 * A Merkle tree as in RFC 9162 section 2.1, over SHA-256: a log that is appended to, and proofs that anybody can check.
 * Hashes are hexadecimal; an entry is text, hashed as UTF-8. Sizes are safe integers.
 */
import { sha256 } from '@noble/hashes/sha2.js';
import { bytesOfHex, hexOf } from '../bytes.ts';

const HASH_BYTES = 32;
const encoder = new TextEncoder();

/** Section 2.1.1: the prefix keeps an entry from passing for a node, and the other way round. */
const leafHash = (entry: string): Uint8Array =>
  sha256.create().update(Uint8Array.of(0)).update(encoder.encode(entry)).digest();

const nodeHash = (left: Uint8Array, right: Uint8Array): Uint8Array =>
  sha256.create().update(Uint8Array.of(1)).update(left).update(right).digest();

const emptyRoot = sha256(new Uint8Array());

/** The hashes of all whole subtrees of one height, in order, in one piece of memory. */
class Level {
  #bytes = new Uint8Array(64 * HASH_BYTES);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  push(hash: Uint8Array): void {
    if (this.#bytes.length === this.#count * HASH_BYTES) {
      const larger = new Uint8Array(2 * this.#bytes.length);
      larger.set(this.#bytes);
      this.#bytes = larger;
    }
    this.#bytes.set(hash, this.#count * HASH_BYTES);
    this.#count += 1;
  }

  at(i: number): Uint8Array {
    if (i >= this.#count) throw new RangeError('no such subtree');
    return this.#bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);
  }
}

/** Appending costs two hashes on average, a root or a proof at most one for each level squared. Two hashes an entry are kept. */
export class MerkleLog {
  readonly #levels: Level[] = [];

  get size(): number {
    return this.#levels[0]?.count ?? 0;
  }

  /** Returns the entry's index. */
  append(entry: string): number {
    const index = this.size;
    let hash = leafHash(entry);
    for (let height = 0; ; height++) {
      const level = (this.#levels[height] ??= new Level());
      level.push(hash);
      if (level.count % 2 === 1) return index;
      hash = nodeHash(level.at(level.count - 2), hash);
    }
  }

  /** Of the first `size` entries; all of them by default. Throws a `RangeError` for more than there are. */
  rootHash(size = this.size): string {
    this.#demandSize(size);
    return hexOf(size === 0 ? emptyRoot : this.#hashOf(0, size));
  }

  /** Section 2.1.3.1: that the entry is in the tree of `size` entries. Throws a `RangeError` where it is not. */
  inclusionProof(index: number, size: number): string[] {
    this.#demandSize(size);
    if (!Number.isSafeInteger(index) || index < 0 || index >= size) throw new RangeError('no such entry');
    const proof: string[] = [];
    let [from, to] = [0, size];
    while (to - from > 1) {
      const middle = from + splitOf(to - from);
      if (index < middle) {
        proof.push(hexOf(this.#hashOf(middle, to)));
        to = middle;
      } else {
        proof.push(hexOf(this.#hashOf(from, middle)));
        from = middle;
      }
    }
    return proof.reverse();
  }

  /**
   * Section 2.1.4.1: that the tree of `to` entries begins with that of `from`. Empty where these are equal, or `from` is 0,
   * which the RFC leaves out. Throws a `RangeError` for sizes that there are not, or are not in order.
   */
  consistencyProof(from: number, to: number): string[] {
    this.#demandSize(to);
    if (!Number.isSafeInteger(from) || from < 0 || from > to) throw new RangeError('sizes not in order');
    if (from === 0 || from === to) return [];
    const proof: string[] = [];
    let [low, high, known] = [0, to, true];
    while (from !== high) {
      const middle = low + splitOf(high - low);
      if (from <= middle) {
        proof.push(hexOf(this.#hashOf(middle, high)));
        high = middle;
      } else {
        proof.push(hexOf(this.#hashOf(low, middle)));
        low = middle;
        known = false;
      }
    }
    // The whole earlier tree needs no telling: whoever checks has its root.
    if (!known) proof.push(hexOf(this.#hashOf(low, high)));
    return proof.reverse();
  }

  /** The hash of a subtree of the recursion of section 2.1.1: `from` is a multiple of the size that it would have if whole. */
  #hashOf(from: number, to: number): Uint8Array {
    const size = to - from;
    const height = Math.ceil(Math.log2(size));
    if (2 ** height === size) return this.#level(height).at(from / size);
    const middle = from + splitOf(size);
    return nodeHash(this.#hashOf(from, middle), this.#hashOf(middle, to));
  }

  #level(height: number): Level {
    const level = this.#levels[height];
    if (level === undefined) throw new RangeError('no such subtree');
    return level;
  }

  #demandSize(size: number): void {
    if (!Number.isSafeInteger(size) || size < 0 || size > this.size) throw new RangeError('no such size');
  }
}

/** The largest power of two below `size`, which is at least 2. */
function splitOf(size: number): number {
  let split = 1;
  while (2 * split < size) split *= 2;
  return split;
}

export interface Inclusion {
  readonly entry: string;
  readonly index: number;
  readonly size: number;
  readonly rootHash: string;
  readonly proof: readonly string[];
}

/** Section 2.1.3.2. False for anything malformed. */
export function verifyInclusion({ entry, index, size, rootHash, proof }: Inclusion): boolean {
  if (![index, size].every(isSize) || index >= size) return false;
  // Numbers up to 2^53 are halved by division: shifts know 32 bits.
  let [fn, sn, r] = [index, size - 1, leafHash(entry)];
  for (const text of proof) {
    const p = hashOfText(text);
    if (p === undefined || sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      r = nodeHash(p, r);
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else r = nodeHash(r, p);
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && hexOf(r) === rootHash;
}

export interface Consistency {
  readonly from: number;
  readonly fromRoot: string;
  readonly to: number;
  readonly toRoot: string;
  readonly proof: readonly string[];
}

/**
 * Section 2.1.4.2, and the two cases that it leaves out: equal sizes have equal roots and no proof, and everything begins with the
 * empty tree. False for anything malformed.
 */
export function verifyConsistency({ from, fromRoot, to, toRoot, proof }: Consistency): boolean {
  if (![from, to].every(isSize) || from > to) return false;
  if (from === to) return proof.length === 0 && fromRoot === toRoot;
  if (from === 0) return proof.length === 0 && fromRoot === hexOf(emptyRoot);
  const path = isPowerOfTwo(from) ? [fromRoot, ...proof] : proof;
  let [fn, sn] = [from - 1, to - 1];
  while (isOdd(fn)) [fn, sn] = [half(fn), half(sn)];
  const first = hashOfText(path[0]);
  if (first === undefined) return false;
  let [fr, sr] = [first, first];
  for (const text of path.slice(1)) {
    const c = hashOfText(text);
    if (c === undefined || sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      fr = nodeHash(c, fr);
      sr = nodeHash(c, sr);
      while (!isOdd(fn) && fn !== 0) [fn, sn] = [half(fn), half(sn)];
    } else sr = nodeHash(sr, c);
    [fn, sn] = [half(fn), half(sn)];
  }
  return sn === 0 && hexOf(fr) === fromRoot && hexOf(sr) === toRoot;
}

const isSize = (n: number): boolean => Number.isSafeInteger(n) && n >= 0;
const isOdd = (n: number): boolean => n % 2 === 1;
const half = (n: number): number => Math.floor(n / 2);

function isPowerOfTwo(n: number): boolean {
  let rest = n;
  while (!isOdd(rest)) rest = half(rest);
  return rest === 1;
}

/** Undefined unless it is 32 bytes of lowercase hexadecimal: one proof has one text. */
function hashOfText(text: string | undefined): Uint8Array | undefined {
  return text !== undefined && /^[0-9a-f]{64}$/.test(text) ? bytesOfHex(text) : undefined;
}
