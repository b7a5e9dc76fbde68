/** A private chat with an honest coordinator, and nodes that are busy, gone, lost or failing; and callers that stop. */
import { describe, expect, it } from 'vitest';
import { ask, network, pieces, question, wholeText, zeros } from '../testing/asking.ts';
import { MODEL, type ScriptedNode } from '../testing/scripted-node.ts';

describe('nodes that do not take the job', () => {
  it('are passed by with their signed refusal, in the order drawn', async () => {
    const { client, nodes, coordinator } = await network([{}, {}, {}]);
    for (const node of nodes.slice(0, 2)) node.refuses = 'busy';
    const { last, text } = await ask(client);
    expect(text).toBe(wholeText);
    expect(last).toMatchObject({ type: 'finished', node: { bundle: nodes[2]?.name } });
    expect(coordinator.jobs).toHaveLength(1);
  });

  it('are passed by with their departure from the directory', async () => {
    const { client, nodes, coordinator } = await network([{}, {}], { random: zeros });
    await client.prepare(MODEL);
    for (let i = 0; i < 3; i++) await coordinator.join({ model: 'other' });
    const first = nodes[1] as ScriptedNode;
    coordinator.leave(first);
    const { last } = await ask(client);
    expect(coordinator.jobs[0]?.candidates).toContain(first.name);
    expect(last).toMatchObject({ type: 'finished', node: { bundle: nodes[0]?.name } });
  });

  it.each(['key_rotated', 'draining'] as const)(
    '%s: the list is fetched once more, and the question sealed anew',
    async (code) => {
      const { client, nodes, coordinator } = await network();
      const [node] = nodes;
      if (node !== undefined) node.refuses = code;
      await client.prepare(MODEL);
      const next = await coordinator.join();
      next.says = () => ({ text: pieces });
      const { last, types } = await ask(client);
      expect(last).toMatchObject({ type: 'finished', node: { bundle: next.name } });
      expect(types.filter((type) => type === 'verified')).toHaveLength(2);
      expect(new Set(coordinator.jobs.map(({ jobId }) => jobId)).size).toBe(2);
    },
  );

  it('all of them having left, it chooses anew', async () => {
    const { client, nodes, coordinator } = await network();
    await client.prepare(MODEL);
    const [node] = nodes;
    if (node !== undefined) coordinator.leave(node, 'replaced');
    const next = await coordinator.join();
    next.says = () => ({ text: pieces });
    expect((await ask(client)).last).toMatchObject({ type: 'finished', node: { bundle: next.name } });
  });

  it.each([
    ['key_rotated', 2],
    ['busy', 1],
    ['draining', 1],
    ['unsupported', 1],
    ['too_long', 1],
    ['expired', 1],
  ] as const)('%s from everybody fails with that code', async (code, jobs) => {
    const { client, nodes, coordinator } = await network([{}, {}]);
    for (const node of nodes) node.refuses = code;
    const { last } = await ask(client);
    expect(last).toMatchObject({ type: 'failed', text: 'none', failure: { code } });
    expect(coordinator.jobs).toHaveLength(jobs);
  });
});

describe('a node that is lost', () => {
  it('is followed by another one, which goes on with the text', async () => {
    const { client, nodes, coordinator } = await network([{}, {}]);
    coordinator.cheats = { loses: { afterChunks: 3, times: 1 } };
    const heard: unknown[] = [];
    for (const node of nodes)
      node.says = (inner) => {
        heard.push(inner.continuation);
        const from = inner.continuation === null ? 0 : 3;
        return { text: pieces.slice(from) };
      };
    const { text, types, last } = await ask(client);
    expect(text).toBe(wholeText);
    expect(types.filter((type) => type === 'continued')).toHaveLength(1);
    expect(heard).toEqual([null, { text: pieces.slice(0, 3).join('') }]);
    const [one, two] = coordinator.jobs;
    expect(two?.candidates).not.toContain(one?.candidates[0]);
    expect(two?.maxTokens).toBeLessThan(one?.maxTokens ?? 0);
    expect(last.type).toBe('finished');
  });

  it('is no way to learn how long a text is', async () => {
    const told = new Set<number | undefined>();
    for (let length = 1; length <= 100; length += 9) {
      const { client, coordinator, nodes } = await network([{}, {}]);
      coordinator.cheats = { loses: { afterChunks: 1, times: 1 } };
      for (const node of nodes) node.says = () => ({ text: ['x'.repeat(length)] });
      await ask(client, { ...question, max_tokens: 512 });
      told.add(coordinator.jobs[1]?.maxTokens);
    }
    expect([...told]).toEqual([384]);
  });

  it('more often than twice ends it, with the part that came', async () => {
    const { client, coordinator } = await network([{}, {}, {}, {}]);
    coordinator.cheats = { loses: { afterChunks: 1, times: Infinity } };
    const { last, text } = await ask(client);
    expect(last).toMatchObject({ type: 'failed', text: 'part', failure: { code: 'node_lost' } });
    expect(text).toBe('SilkSilkSilk');
    expect(coordinator.jobs).toHaveLength(3);
  });

  it('with nobody else there, it fails with what was lost', async () => {
    const { client, coordinator } = await network();
    coordinator.cheats = { loses: { afterChunks: 2, times: 1 } };
    expect((await ask(client)).last).toMatchObject({ text: 'part', failure: { code: 'node_lost' } });
  });
});

describe('a node that fails', () => {
  it('says so itself', async () => {
    const { client, nodes } = await network();
    for (const node of nodes) node.says = () => ({ text: ['Silk'], failed: 'upstream_failed' });
    expect((await ask(client)).last).toMatchObject({
      type: 'failed',
      text: 'part',
      failure: { code: 'upstream_failed' },
      receipt: { node: { receipt: { outcome: 'failed' } } },
    });
  });
});

describe('stopping', () => {
  it('by the signal ends it, and cancels the job', async () => {
    const { client, coordinator } = await network();
    coordinator.cheats.events = async function* (events) {
      yield* events.slice(0, 3);
      await new Promise(() => undefined);
    };
    const controller = new AbortController();
    const types: string[] = [];
    for await (const event of client.chat(question, { signal: controller.signal, padding: 'none' })) {
      types.push(event.type);
      if (types.filter((type) => type === 'text-delta').length === 2) controller.abort();
    }
    expect(types).toEqual(['verified', 'assigned', 'text-delta', 'text-delta', 'stopped']);
    await expect.poll(() => coordinator.cancelled).toEqual([coordinator.jobs[0]?.jobId]);
  });

  it('by leaving the loop cancels too', async () => {
    const { client, coordinator } = await network();
    for await (const event of client.chat(question)) if (event.type === 'text-delta') break;
    await expect.poll(() => coordinator.cancelled).toEqual([coordinator.jobs[0]?.jobId]);
  });

  it('before it began asks nothing', async () => {
    const { client, coordinator } = await network();
    expect((await ask(client, question, { signal: AbortSignal.abort() })).types).toEqual(['stopped']);
    expect(coordinator.seen).toEqual([]);
  });
});
