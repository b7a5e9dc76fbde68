/** A private chat with a coordinator that is honest, and nodes that are honest, busy, gone or lost. */
import { describe, expect, it } from 'vitest';
import { checkPrivateReceipt } from '@tussah/protocol/private/check-receipt';
import { simulatedWarning } from '../protection.ts';
import {
  ask,
  clientOf,
  codeOf,
  network,
  NOW,
  pieces,
  policy,
  question,
  wholeText,
  zeros,
} from '../testing/asking.ts';
import { MODEL, MODEL_DIGEST, type ScriptedNode } from '../testing/scripted-node.ts';

describe('a private chat', () => {
  it('brings the whole answer, the node, the proof, and says how it was attested', async () => {
    const { client, coordinator, nodes } = await network();
    const { types, text, last } = await ask(client);
    expect(types).toEqual(['verified', 'assigned', ...pieces.map(() => 'text-delta'), 'finished']);
    expect(text).toBe(wholeText);
    expect(last).toMatchObject({
      type: 'finished',
      tier: 'private',
      finishReason: 'stop',
      usage: { prompt_tokens: 7, completion_tokens: 6, total_tokens: 13 },
      attestation: 'simulated',
      jobId: coordinator.jobs[0]?.jobId,
      node: { bundle: nodes[0]?.name, machine: 'tdx', simulated: true, modelDigest: MODEL_DIGEST },
    });
    if (last.type !== 'finished') throw new Error('not finished');
    const expected = { coordinator: coordinator.identity.publicKey };
    expect((await checkPrivateReceipt(last.receipt, expected)).valid).toBe(true);
    expect(coordinator.cancelled).toEqual([]);
  });

  it.each(['none', 'buckets', 'paced'] as const)('is the same under padding %s', async (padding) => {
    const { client, coordinator } = await network();
    const { text, last } = await ask(client, question, { padding });
    expect(text).toBe(wholeText);
    expect(last.type).toBe('finished');
    expect(coordinator.jobs[0]?.padding).toBe(padding);
  });

  it('shows the coordinator no word of it, and no size finer than the padding', async () => {
    const { client, coordinator, nodes } = await network();
    let heard: unknown;
    for (const node of nodes)
      node.says = (inner) => {
        heard = inner;
        return { text: ['a secret answer'] };
      };
    const secret = 'a secret question';
    const asking = { ...question, messages: [{ role: 'user', content: secret }], user: 'somebody' } as const;
    expect((await ask(client, asking)).text).toBe('a secret answer');
    expect(heard).toMatchObject({ messages: [{ role: 'user', content: secret }], maxTokens: 64 });
    const shown = JSON.stringify(coordinator.seen);
    for (const word of ['secret', 'somebody', btoa(secret)]) expect(shown).not.toContain(word);
    const longer = { ...asking, messages: [{ role: 'user', content: `${secret}, and more of it` }] } as const;
    await ask(client, longer);
    const sizes = coordinator.seen
      .filter(({ path }) => path.includes('sealed'))
      .map(({ body }) => body.length);
    expect(new Set(sizes).size).toBe(1);
    expect(new Set(coordinator.jobs.map((job) => job.maxPromptTokens))).toEqual(new Set([1_024]));
  });

  it('seals to three nodes in an order of its own', async () => {
    const { client, coordinator } = await network([{}, {}, {}, {}]);
    const orders = new Set<string>();
    for (let i = 0; i < 24; i++) {
      await ask(client);
      orders.add((coordinator.jobs.at(-1)?.candidates ?? []).join());
    }
    expect(coordinator.jobs.every(({ candidates }) => candidates.length === 3)).toBe(true);
    expect(orders.size).toBeGreaterThan(4);
  });

  it('takes the strongest suite of its candidates', async () => {
    const strong = 'xwing-hkdf-sha256-aes256gcm';
    const { client, coordinator, nodes } = await network([{}, { suite: strong }, {}]);
    expect((await ask(client)).last).toMatchObject({ type: 'finished', node: { suite: strong } });
    expect(coordinator.jobs).toMatchObject([{ suite: strong, candidates: [nodes[1]?.name] }]);
  });

  it('asks for the list once for questions soon after each other, and sends the key in the header alone', async () => {
    const { coordinator } = await network();
    const client = clientOf(coordinator, { apiKey: 'tsk_1' });
    await ask(client);
    await ask(client);
    const lists = () => coordinator.seen.filter(({ path }) => path.startsWith('/v1/nodes?'));
    expect(lists()).toHaveLength(1);
    coordinator.nowMs += 31_000;
    await ask(client);
    expect(lists().map(({ path }) => path)).toEqual([
      `/v1/nodes?model=${MODEL}&since=0`,
      `/v1/nodes?model=${MODEL}&since=1`,
    ]);
    expect(coordinator.seen.every(({ headers }) => headers.get('authorization') === 'Bearer tsk_1')).toBe(
      true,
    );
    expect(JSON.stringify(coordinator.seen.map(({ body, path }) => body + path))).not.toContain('tsk_1');
  });
});

describe('preparing', () => {
  it('says who was verified, with all steps, and sends nothing', async () => {
    const { client, coordinator, nodes } = await network([{}, {}]);
    const preparation = await client.prepare(MODEL);
    expect(preparation).toMatchObject({ model: MODEL, simulated: true, policy: 'simulated', failure: null });
    expect(preparation.nodes.map(({ bundle }) => bundle).sort()).toEqual(
      nodes.map(({ name }) => name).sort(),
    );
    for (const node of preparation.nodes) {
      expect(node).toMatchObject({ joinedAtMs: NOW, notAfterMs: NOW + 3_600_000, gpus: ['GH100'] });
      expect(node.verdict.steps.filter(({ status }) => status === 'passed').length).toBeGreaterThan(20);
    }
    expect(preparation.notProtected[0]).toBe(simulatedWarning);
    expect(coordinator.jobs).toEqual([]);
    expect(coordinator.seen.every(({ method }) => method === 'GET')).toBe(true);
  });

  it('names the failed steps of what was rejected', async () => {
    const { client } = await network([{ bundle: { tdx: { image: { mrTd: '00'.repeat(48) } } } }]);
    const { failure, nodes, rejected } = await client.prepare(MODEL);
    expect(failure).toMatchObject({ code: 'evidence_rejected' });
    expect(failure?.message).toContain('bundle.image');
    expect(nodes).toEqual([]);
    const failed = rejected[0]?.verdict?.steps.filter(({ status }) => status === 'failed') ?? [];
    expect(failed.every(({ remedy }) => (remedy ?? '') !== '')).toBe(true);
    expect(failed.map(({ id }) => id)).toContain('tdx.image');
  });
});

describe('choosing', () => {
  it('refuses a model that the policy does not name, without asking anybody', async () => {
    const { coordinator } = await network();
    const client = clientOf(coordinator, { policy: { ...policy, models: {} } });
    expect(await codeOf(client)).toBe('model_not_in_policy');
    expect((await client.prepare('toString')).failure?.code).toBe('model_not_in_policy');
    expect(coordinator.seen).toEqual([]);
  });

  it.each([
    ['no node', [], question, 'no_node'],
    ['nodes that are too dear', [{}], { ...question, tussah: { maxPriceNano: '1' } }, 'price_too_high'],
    ['nodes with too little context', [{ contextTokens: 64 }], question, 'context_length_exceeded'],
    [
      'other weights',
      [{ bundle: { statement: { modelDigest: '00'.repeat(32) } } }],
      question,
      'evidence_rejected',
    ],
    ['evidence that has ended', [{ notAfterMs: NOW - 1 }], question, 'evidence_rejected'],
    [
      'debug mode',
      [{ bundle: { tdx: { body: { tdAttributes: Uint8Array.of(1, 0, 0, 0x10, 0, 0, 0, 0) } } } }],
      question,
      'evidence_rejected',
    ],
  ] as const)('%s: nothing is sent', async (_, plans, asking, code) => {
    const { client, coordinator } = await network(plans);
    expect(await codeOf(client, asking)).toBe(code);
    expect(coordinator.jobs).toEqual([]);
  });

  it('leaves out nodes that are too dear, and bounds what is charged', async () => {
    const dear = { promptNanoPerMillion: '9000000000000', completionNanoPerMillion: '9000000000000' };
    const { client, coordinator, nodes } = await network([{ price: dear }, {}]);
    const { last } = await ask(client, { ...question, tussah: { maxPriceNano: '100000' } });
    expect(last.type).toBe('finished');
    expect(coordinator.jobs[0]).toMatchObject({ candidates: [nodes[1]?.name], maxTokens: 64 });
    expect(BigInt(coordinator.jobs[0]?.maxPriceNano ?? 0)).toBeLessThanOrEqual(100_000n);
  });

  it('bounds what is charged for nodes of different contexts and prices alike', async () => {
    const dear = { promptNanoPerMillion: '90000000', completionNanoPerMillion: '200000000' };
    const { client, coordinator } = await network([
      { contextTokens: 500, price: dear },
      { contextTokens: 8_000 },
    ]);
    for (let i = 0; i < 8; i++) expect(await codeOf(client)).toBe('finished');
    expect(new Set(coordinator.jobs.map((job) => job.candidates[0])).size).toBe(2);
  });

  it('accepts of several configurations the one that is stated, and no other', async () => {
    const { coordinator } = await network();
    const named = (configs: string[]) => ({
      ...policy,
      models: { [MODEL]: { digest: MODEL_DIGEST, configs } },
    });
    const right = clientOf(coordinator, { policy: named(['00'.repeat(32), '34'.repeat(32)]) });
    expect(await codeOf(right)).toBe('finished');
    const wrong = clientOf(coordinator, { policy: named(['00'.repeat(32)]) });
    expect((await ask(wrong)).last).toMatchObject({
      failure: { code: 'evidence_rejected', message: expect.stringContaining('bundle.config') },
    });
  });

  it('does not verify a bundle twice', async () => {
    const { client } = await network();
    const first = await client.prepare(MODEL);
    expect((await client.prepare(MODEL)).nodes[0]?.verdict).toBe(first.nodes[0]?.verdict);
  });
});

describe('what cannot be honoured', () => {
  it.each([
    [{ tools: [{ type: 'function' }] }, 'unsupported_parameter', 'tools'],
    [{ logprobs: true }, 'unsupported_parameter', 'logprobs'],
    [{ tussah: { maxTtftMs: 5 } }, 'unsupported_parameter', 'tussah.maxTtftMs'],
    [{ tussah: { tier: 'public' } }, 'other_tier', 'tussah.tier'],
    [{ messages: [] }, 'invalid_request', 'messages'],
  ] as const)('%j is refused by name', async (more, code, param) => {
    const { client, coordinator } = await network();
    const { last } = await ask(client, { ...question, ...more } as never);
    expect(last).toMatchObject({ type: 'failed', text: 'none', failure: { code, param } });
    expect(coordinator.seen).toEqual([]);
  });

  it('a request too large to be sealed is not sent', async () => {
    const { client, coordinator } = await network([{ contextTokens: 1_048_576 }]);
    const messages = [1, 2].map(() => ({ role: 'user' as const, content: 'x'.repeat(500_000) }));
    expect(await codeOf(client, { ...question, messages })).toBe('request_too_large');
    expect(coordinator.jobs).toEqual([]);
  });
});

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
