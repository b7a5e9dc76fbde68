/** Comparing heads and entries of the directory (docs/private-tier.md, The directory). Signatures are checked elsewhere. */
import { canonicalText } from '../canonical.ts';
import { verifyConsistency, verifyInclusion } from './merkle.ts';
import type { DirectoryEntry, DirectoryHead, ProvenEntry } from './directory.ts';
import { privateLimits } from './private-limits.ts';

/** What is hashed into the tree. */
export const entryText = (entry: DirectoryEntry): string => canonicalText(entry);

export type HeadProblem =
  | 'coordinator_changed'
  | 'directory_rolled_back'
  | 'directory_forked'
  | 'directory_stale';

/**
 * Whether a client that keeps one head can take another; undefined when it can. `consistency` is from the size of the kept one.
 * Without a kept head only the age counts.
 */
export function checkHeads(
  kept: DirectoryHead | undefined,
  shown: DirectoryHead,
  consistency: readonly string[],
  nowMs: number,
): HeadProblem | undefined {
  if (kept !== undefined) {
    if (kept.coordinator !== shown.coordinator) return 'coordinator_changed';
    if (shown.size < kept.size || shown.atMs < kept.atMs) return 'directory_rolled_back';
    if (!headsAgree(kept, shown, consistency)) return 'directory_forked';
  }
  // One from the future, once kept, would make all after it look old.
  return Math.abs(nowMs - shown.atMs) > privateLimits.headAgeMaxMs ? 'directory_stale' : undefined;
}

/** Whether the larger of two heads goes on from the smaller; `consistency` is between their sizes, in order of size. */
export function headsAgree(
  one: DirectoryHead,
  other: DirectoryHead,
  consistency: readonly string[],
): boolean {
  const [small, large] = one.size <= other.size ? [one, other] : [other, one];
  return verifyConsistency({
    from: small.size,
    fromRoot: small.rootHash,
    to: large.size,
    toRoot: large.rootHash,
    proof: consistency,
  });
}

export const isProven = ({ index, entry, proof }: ProvenEntry, head: DirectoryHead): boolean =>
  verifyInclusion({ entry: entryText(entry), index, size: head.size, rootHash: head.rootHash, proof });
