/**
 * The seed schedule: one seed for each block of tokens of a job, so that any contributor can go on from a block's start
 * and any auditor can replay one block alone. The block size belongs to the engine profile.
 */
import { sha256 } from '@noble/hashes/sha2.js';

const encoder = new TextEncoder();
/** Seeds lie in 1..2147483646, the range that every engine's generator accepts (2^31 - 1 is the modulus of MINSTD). */
const SEEDS = 2_147_483_646;

/** Seed of block `block` (counted from 0) for a job whose schedule starts from `root`; an integer in 1..2147483646. */
export function seedAt(root: string, block: number): number {
  const digest = sha256(encoder.encode(`${root}|${block}`));
  return 1 + (new DataView(digest.buffer, digest.byteOffset).getUint32(0, false) % SEEDS);
}
