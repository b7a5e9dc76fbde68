import { describe, expect, it } from 'vitest';
import { GroupCommit } from './group-commit.ts';
import { StoreError } from './store-error.ts';

const refusal = new StoreError('overdrawn', 'no');
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Records the groups that were committed; writes below zero are refused. */
function recorder(bounds = { groupMax: 4, waitingMax: 100 }) {
  const groups: number[][] = [];
  const commit = new GroupCommit<number>((group) => {
    groups.push([...group]);
    return group.map((write) => (write < 0 ? refusal : 'written'));
  }, bounds);
  return { groups, commit };
}

describe('GroupCommit', () => {
  it('commits the writes of one turn together and in order', async () => {
    const { groups, commit } = recorder();
    await Promise.all([1, 2, 3].map((n) => commit.write(n)));
    await commit.write(4);
    expect(groups).toEqual([[1, 2, 3], [4]]);
  });

  it('resolves nothing before the commit', async () => {
    const { groups, commit } = recorder();
    let resolved = false;
    const write = commit.write(1).then(() => (resolved = true));
    await Promise.resolve();
    expect([resolved, groups.length]).toEqual([false, 0]);
    await write;
    expect(groups).toEqual([[1]]);
  });

  it('bounds a group, lets a turn pass between groups and keeps the order of arrival', async () => {
    const { groups, commit } = recorder();
    const writes = Array.from({ length: 10 }, (_, i) => commit.write(i));
    await turn();
    expect(groups).toEqual([[0, 1, 2, 3]]);
    const late = commit.write(10);
    await Promise.all([...writes, late]);
    expect(groups).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9, 10],
    ]);
  });

  it('rejects a refused write alone', async () => {
    const { commit } = recorder();
    const outcomes = await Promise.allSettled([1, -1, 2].map((n) => commit.write(n)));
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(outcomes[1]).toMatchObject({ reason: refusal });
  });

  it('rejects the whole group when the commit fails, and goes on with the next', async () => {
    let failing = true;
    const commit = new GroupCommit<number>((group) => {
      if (failing) throw new Error('disk full');
      return group.map(() => 'written' as const);
    });
    const outcomes = await Promise.allSettled([1, 2].map((n) => commit.write(n)));
    for (const outcome of outcomes) expect(outcome).toMatchObject({ reason: { fault: 'disk' } });
    failing = false;
    await expect(commit.write(3)).resolves.toBe('written');
  });

  it('does not take a missing outcome for a commit', async () => {
    const commit = new GroupCommit<number>(() => []);
    await expect(commit.write(1)).rejects.toMatchObject({ fault: 'disk' });
  });

  it('refuses at once what does not fit the queue', async () => {
    const { commit } = recorder({ groupMax: 4, waitingMax: 2 });
    const accepted = [commit.write(1), commit.write(2)];
    await expect(commit.write(3)).rejects.toMatchObject({ fault: 'overloaded' });
    await Promise.all(accepted);
    await expect(commit.write(4)).resolves.toBe('written');
  });

  it('commits what waits when it is closed, and refuses the rest', async () => {
    const { groups, commit } = recorder();
    const writes = Array.from({ length: 6 }, (_, i) => commit.write(i));
    commit.close();
    await Promise.all(writes);
    expect(groups.flat()).toEqual([0, 1, 2, 3, 4, 5]);
    await expect(commit.write(6)).rejects.toMatchObject({ fault: 'closed' });
  });
});
