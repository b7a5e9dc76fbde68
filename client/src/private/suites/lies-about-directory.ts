/** Lies about the directory, over time and to different people. */
import { describe, expect, it } from 'vitest';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { clientOf, codeOf, network, world } from '../testing/asking.ts';
import { first, cheated } from '../testing/cheated.ts';
import { MODEL } from '../testing/scripted-node.ts';
import { ScriptedPrivateCoordinator, type Cheats } from '../testing/scripted-private-coordinator.ts';

describe('lies about the directory', () => {
  it('is signed by another key than before, or than the one pinned', async () => {
    const { client, coordinator, nodes } = await network();
    expect(await codeOf(client)).toBe('finished');
    const stranger = await ScriptedPrivateCoordinator.start(world);
    stranger.enter(first(nodes));
    coordinator.cheats.list = async (list) => ({ ...list, head: await stranger.head() });
    coordinator.nowMs += 31_000;
    expect(await codeOf(client)).toBe('coordinator_changed');
    const pinned = clientOf(stranger, { coordinatorKey: coordinator.identity.publicKey });
    expect(await codeOf(pinned)).toBe('coordinator_changed');
  });

  it('is rolled back', async () => {
    const { client, coordinator } = await network([{}, {}]);
    expect(await codeOf(client)).toBe('finished');
    coordinator.nowMs += 31_000;
    coordinator.cheats.head = () => coordinator.head(1);
    expect(await codeOf(client)).toBe('directory_rolled_back');
    // The clock of its head as well.
    coordinator.cheats.head = async () => {
      coordinator.nowMs -= 60_000;
      const older = await coordinator.head();
      coordinator.nowMs += 60_000;
      return older;
    };
    expect(await codeOf(client)).toBe('directory_rolled_back');
  });

  it('is another one over time', async () => {
    const { coordinator } = await network();
    const fork = await ScriptedPrivateCoordinator.start(world, coordinator.identity);
    await fork.join();
    await fork.join();
    let at = coordinator;
    const client = clientOf(coordinator, { fetch: (url, init) => at.fetch(url, init) });
    expect(await codeOf(client)).toBe('finished');
    coordinator.nowMs += 31_000;
    fork.nowMs = coordinator.nowMs;
    at = fork;
    expect(await codeOf(client)).toBe('directory_forked');
  });

  it('is another one for another client, which comparing shows', async () => {
    const { client, coordinator } = await network();
    const fork = await ScriptedPrivateCoordinator.start(world, coordinator.identity);
    await fork.join();
    const other = clientOf(fork);
    await Promise.all([client.prepare(MODEL), other.prepare(MODEL)]);
    const [ours, theirs] = await Promise.all([client.head(), other.head()]);
    if (!ours.ok || !theirs.ok || ours.value === undefined || theirs.value === undefined)
      throw new Error('no head');
    expect(await client.compareHead(theirs.value)).toMatchObject({
      value: { verdict: 'forked', theirs: theirs.value },
    });
    expect(await other.compareHead(ours.value)).toMatchObject({ value: { verdict: 'forked' } });
    await fork.join();
    const longer = await fork.head();
    expect(await client.compareHead(longer)).toMatchObject({ value: { verdict: 'forked' } });
  });

  it('but an honest one compares well, and strangers do not compare', async () => {
    const { client, coordinator } = await network();
    await client.prepare(MODEL);
    const early = await coordinator.head();
    await coordinator.join();
    await coordinator.join();
    const late = await coordinator.head();
    for (const head of [early, late])
      expect(await client.compareHead(head)).toEqual({ ok: true, value: { verdict: 'consistent' } });
    const forged = { ...late, rootHash: '00'.repeat(32) };
    expect(await client.compareHead(forged)).toMatchObject({ value: { verdict: 'not-comparable' } });
    const stranger = await ScriptedPrivateCoordinator.start(world);
    expect(await client.compareHead(await stranger.head())).toMatchObject({
      value: { verdict: 'not-comparable' },
    });
    expect(await clientOf(coordinator).compareHead(late)).toMatchObject({
      value: { verdict: 'not-comparable' },
    });
  });

  it('is stale, or from the future', async () => {
    for (const offMs of [-privateLimits.headAgeMaxMs - 1, privateLimits.headAgeMaxMs + 1]) {
      const { client, coordinator } = await network();
      coordinator.cheats.head = async () => {
        coordinator.nowMs += offMs;
        const head = await coordinator.head();
        coordinator.nowMs -= offMs;
        return head;
      };
      expect(await codeOf(client)).toBe('directory_stale');
    }
  });

  it('shows nodes that are not in it', async () => {
    for (const list of [
      (l: Parameters<NonNullable<Cheats['list']>>[0]) => ({
        ...l,
        nodes: l.nodes.map((n) => ({ ...n, index: n.index + 1 })),
      }),
      (l: Parameters<NonNullable<Cheats['list']>>[0]) => ({
        ...l,
        nodes: l.nodes.map((n) => ({ ...n, entry: { ...n.entry, atMs: 1 } })),
      }),
      (l: Parameters<NonNullable<Cheats['list']>>[0]) => ({
        ...l,
        head: { ...l.head, rootHash: '00'.repeat(32) },
      }),
    ] as NonNullable<Cheats['list']>[])
      expect((await cheated({ list })).code).toBe('directory_forged');
  });

  it('shows a node more often than the others, so that it is drawn', async () => {
    const { failed, coordinator } = await cheated({
      list: (list) => ({ ...list, nodes: [...list.nodes, ...list.nodes] }),
    });
    expect(failed.failure).toMatchObject({
      code: 'directory_forged',
      message: expect.stringContaining('twice'),
    });
    expect(coordinator.jobs).toEqual([]);
  });

  it('is of no known shape', async () => {
    expect((await cheated({ list: () => ({}) as never })).code).toBe('unreadable_answer');
  });

  it('fails closed where the memory of heads fails', async () => {
    const { coordinator } = await network();
    const broken = { load: () => Promise.reject(new Error('disk')), save: () => Promise.resolve(true) };
    expect(await codeOf(clientOf(coordinator, { heads: broken }))).toBe('heads_unavailable');
    const readOnly = {
      load: () => Promise.resolve(undefined),
      save: () => Promise.reject(new Error('disk')),
    };
    expect(await codeOf(clientOf(coordinator, { heads: readOnly }))).toBe('heads_unavailable');
    expect(coordinator.jobs).toEqual([]);
  });
});
