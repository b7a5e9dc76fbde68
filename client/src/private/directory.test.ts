/** What several questions at the same time do to the head that is kept; the lies are in suites/hostile-coordinator.ts. */
import { errorBody, failure } from '@tussah/protocol/errors';
import { describe, expect, it } from 'vitest';
import type { Fetch } from '../connection.ts';
import { MemoryHeads } from './heads.ts';
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
