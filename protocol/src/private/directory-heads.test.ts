import { beforeAll, describe, expect, it } from 'vitest';
import { newIdentity, type Identity } from '../signatures.ts';
import type { DirectoryEntry, DirectoryHead } from './directory.ts';
import { checkHeads, entryText, headsAgree, isProven } from './directory-heads.ts';
import { MerkleLog } from './merkle.ts';
import { privateLimits } from './private-limits.ts';
import { signHead, verifyHead } from './sign-statements.ts';

const AT_MS = 1_800_000_000_000;
const entryOf = (i: number, reason: 'drained' | 'silent' = 'drained'): DirectoryEntry => ({
  kind: 'left',
  atMs: AT_MS + i,
  bundle: 'ab'.repeat(32),
  reason,
});

/** A log in which entry 3 says something else in the second one: what a coordinator shows to somebody else. */
const logs = [new MerkleLog(), new MerkleLog()] as const;
for (let i = 0; i < 20; i++) {
  logs[0].append(entryText(entryOf(i)));
  logs[1].append(entryText(entryOf(i, i === 3 ? 'silent' : 'drained')));
}
const [log, forked] = logs;

let coordinator: Identity;
beforeAll(async () => {
  coordinator = await newIdentity();
});
const headOf = (size: number, { of = log, atMs = AT_MS, by = coordinator } = {}): Promise<DirectoryHead> =>
  signHead(by, { size, rootHash: of.rootHash(size), atMs });

describe('a head', () => {
  it('is signed, all of it', async () => {
    const head = await headOf(5);
    expect(await verifyHead(head)).toBe(true);
    const changes: Partial<DirectoryHead> = {
      size: 6,
      rootHash: log.rootHash(6),
      atMs: AT_MS + 1,
      coordinator: (await newIdentity()).publicKey,
    };
    for (const [name, value] of Object.entries(changes))
      expect(await verifyHead({ ...head, [name]: value })).toBe(false);
  });

  it.each([
    [5, 5],
    [5, 6],
    [5, 20],
    [0, 7],
    [8, 16],
  ])('of %i entries is followed by one of %i', async (from, to) => {
    const [kept, shown] = [await headOf(from), await headOf(to, { atMs: AT_MS + 10 })];
    expect(checkHeads(kept, shown, log.consistencyProof(from, to), AT_MS)).toBeUndefined();
  });

  it('without one that is kept has only to be fresh', async () => {
    const head = await headOf(5);
    const age = privateLimits.headAgeMaxMs;
    expect(checkHeads(undefined, head, [], AT_MS + age)).toBeUndefined();
    expect(checkHeads(undefined, head, [], AT_MS + age + 1)).toBe('directory_stale');
    expect(checkHeads(undefined, head, [], AT_MS - age - 1)).toBe('directory_stale');
  });

  it('is refused when it is of another coordinator', async () => {
    const shown = await headOf(5, { by: await newIdentity() });
    expect(checkHeads(await headOf(5), shown, [], AT_MS)).toBe('coordinator_changed');
  });

  it('is refused when it is smaller or older', async () => {
    const kept = await headOf(5);
    const smaller = await headOf(4, { atMs: AT_MS + 10 });
    expect(checkHeads(kept, smaller, [], AT_MS)).toBe('directory_rolled_back');
    const older = await headOf(6, { atMs: AT_MS - 1 });
    const proof = log.consistencyProof(5, 6);
    expect(checkHeads(kept, older, proof, AT_MS)).toBe('directory_rolled_back');
  });

  it('is refused when it does not go on from the one kept', async () => {
    const kept = await headOf(5);
    expect(checkHeads(kept, await headOf(5, { of: forked }), [], AT_MS)).toBe('directory_forked');
    const shown = await headOf(9, { of: forked });
    expect(checkHeads(kept, shown, forked.consistencyProof(5, 9), AT_MS)).toBe('directory_forked');
    expect(checkHeads(kept, shown, log.consistencyProof(5, 9), AT_MS)).toBe('directory_forked');
    expect(checkHeads(kept, await headOf(9), [], AT_MS)).toBe('directory_forked');
    expect(checkHeads(kept, await headOf(5), ['ab'.repeat(32)], AT_MS)).toBe('directory_forked');
  });

  it('of two people agree in either order, or prove a fork', async () => {
    const [small, large] = [await headOf(5), await headOf(9)];
    const proof = log.consistencyProof(5, 9);
    expect([headsAgree(small, large, proof), headsAgree(large, small, proof)]).toEqual([true, true]);
    expect(headsAgree(await headOf(9, { of: forked }), small, proof)).toBe(false);
  });
});

describe('an entry', () => {
  it('is proven where it stands, as it stands', async () => {
    const head = await headOf(9);
    const proven = { index: 3, entry: entryOf(3), proof: log.inclusionProof(3, 9) };
    expect(isProven(proven, head)).toBe(true);
    expect(isProven({ ...proven, index: 4 }, head)).toBe(false);
    expect(isProven({ ...proven, entry: entryOf(3, 'silent') }, head)).toBe(false);
    expect(isProven(proven, await headOf(10))).toBe(false);
    expect(isProven(proven, await headOf(9, { of: forked }))).toBe(false);
  });
});
