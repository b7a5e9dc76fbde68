/** What several questions at the same time do to the head that is kept; the lies are in suites/hostile-coordinator.ts. */
import { errorBody, failure } from '@tussah/protocol/errors';
import type { DirectoryHead } from '@tussah/protocol/private/directory';
import { describe, expect, it } from 'vitest';
import type { Fetch } from '../connection.ts';
import { MemoryHeads, type HeadStore } from './heads.ts';
import { clientOf, codeOf, network, question, world } from './testing/asking.ts';
import { MODEL } from './testing/scripted-node.ts';
import { ScriptedPrivateCoordinator } from './testing/scripted-private-coordinator.ts';

/** Holds back answers to the list until it is told to let them go. */
function holding(fetch: Fetch) {
  const gate = Promise.withResolvers<void>();
  const waiting: Fetch = async (url, init) => {
    const response = await fetch(url, init);
    if (url.includes('/nodes?')) await gate.promise;
    return response;
  };
  return { fetch: waiting, release: gate.resolve };
}

describe('lists that come at the same time', () => {
  it('may come in any order; the newest head is kept', async () => {
    const { coordinator } = await network();
    const heads = new MemoryHeads();
    const { fetch, release } = holding(coordinator.fetch);
    const slow = clientOf(coordinator, { heads, fetch }).prepare(MODEL);
    await expect.poll(() => coordinator.seen).toHaveLength(1);
    await coordinator.join();
    await coordinator.join();
    const quick = clientOf(coordinator, { heads });
    expect((await quick.prepare(MODEL)).failure).toBeNull();
    release();
    expect((await slow).failure).toBeNull();
    expect((await heads.load(coordinator.baseURL))?.size).toBe(3);
  });

  it('of two directories show the fork', async () => {
    const { coordinator } = await network();
    const fork = await ScriptedPrivateCoordinator.start(world, coordinator.identity);
    await fork.join();
    await fork.join();
    const heads = new MemoryHeads();
    const { fetch, release } = holding(fork.fetch);
    const slow = clientOf(fork, { heads, fetch }).prepare(MODEL);
    await expect.poll(() => fork.seen).toHaveLength(1);
    expect((await clientOf(coordinator, { heads }).prepare(MODEL)).failure).toBeNull();
    release();
    expect((await slow).failure?.code).toBe('directory_forked');
    expect((await heads.load(coordinator.baseURL))?.size).toBe(1);
  });

  it('and so they do when another process keeps one in the very moment', async () => {
    const { coordinator } = await network();
    const fork = await ScriptedPrivateCoordinator.start(world, coordinator.identity);
    await fork.join();
    await fork.join();
    const shared = new MemoryHeads();
    let others: DirectoryHead | undefined = await coordinator.head();
    const heads: HeadStore = {
      load: (name) => shared.load(name),
      save: async (name, head, replaced) => {
        if (others !== undefined) await shared.save(name, others, undefined);
        others = undefined;
        return shared.save(name, head, replaced);
      },
    };
    expect((await clientOf(fork, { heads }).prepare(MODEL)).failure?.code).toBe('directory_forked');
    expect((await shared.load(fork.baseURL))?.size).toBe(1);
  });
});

it('a coordinator that is too busy to prove anything has not been caught at a fork', async () => {
  const { coordinator } = await network();
  const busy: Fetch = (url, init) =>
    url.includes('/consistency')
      ? Promise.resolve(Response.json(errorBody(failure('rate_limited')), { status: 429 }))
      : coordinator.fetch(url, init);
  const client = clientOf(coordinator, { fetch: busy });
  expect(await codeOf(client, question)).not.toBe('directory_forked');
  await coordinator.join();
  expect(await client.compareHead(await coordinator.head())).toMatchObject({
    ok: false,
    failure: { code: 'rate_limited' },
  });
});

it('a proof that breaks off on its way shows no fork', async () => {
  const { coordinator } = await network();
  const breaking: Fetch = (url, init) => {
    if (!url.includes('/consistency')) return coordinator.fetch(url, init);
    const body = new ReadableStream({
      start: (controller) => controller.enqueue(new TextEncoder().encode('{"from":')),
      pull: (controller) => controller.error(new Error('gone')),
    });
    return Promise.resolve(new Response(body));
  };
  const client = clientOf(coordinator, { fetch: breaking });
  expect(await codeOf(client, question)).toBe('finished');
  await coordinator.join();
  expect(await client.compareHead(await coordinator.head())).toMatchObject({
    ok: false,
    failure: { code: 'unreachable' },
  });
});
