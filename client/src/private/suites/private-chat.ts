/** A private chat with a coordinator and nodes that are honest: choosing, asking, and what cannot be honoured. */
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
} from '../testing/asking.ts';
import { MODEL, MODEL_DIGEST } from '../testing/scripted-node.ts';

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

  it('bounds each question that has no bound of its own', async () => {
    const { coordinator } = await network();
    const client = clientOf(coordinator, { maxPriceNano: 1n });
    expect(await codeOf(client)).toBe('price_too_high');
    expect(await codeOf(client, { ...question, tussah: { maxPriceNano: '100000' } })).toBe('finished');
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

  it('sends nothing on evidence that has ended since it was verified', async () => {
    const { client, coordinator, nodes } = await network([{ notAfterMs: NOW + 60_000 }, {}]);
    const seen: string[] = [];
    for await (const event of client.chat(question, { padding: 'none' })) {
      // The first time the question is thought over, for longer than one of the nodes lasts.
      if (event.type === 'verified' && seen.length === 0) coordinator.nowMs += 60_001;
      seen.push(event.type === 'failed' ? event.failure.code : event.type);
    }
    expect(seen.slice(0, 3)).toEqual(['verified', 'verified', 'assigned']);
    expect(seen.at(-1)).toBe('finished');
    expect(coordinator.jobs.map(({ candidates }) => candidates)).toEqual([[nodes[1]?.name]]);
  });

  it('seals anew what was thought over for too long', async () => {
    const { client, coordinator } = await network();
    const seen: string[] = [];
    for await (const event of client.chat(question)) {
      if (event.type === 'verified' && seen.length === 0) coordinator.nowMs += 360_000;
      seen.push(event.type);
    }
    expect(seen.at(-1)).toBe('finished');
    expect(coordinator.jobs.map(({ notAfterMs }) => notAfterMs > coordinator.nowMs)).toEqual([true]);
  });

  it('does not show how wrong its clock is', async () => {
    const ends = new Set<number>();
    for (let wrongMs = 0; wrongMs < 50_000; wrongMs += 7_001) {
      const { coordinator } = await network();
      const now = () => coordinator.nowMs + wrongMs;
      expect(await codeOf(clientOf(coordinator, { now }))).toBe('finished');
      ends.add(coordinator.jobs[0]?.notAfterMs ?? 0);
    }
    expect(ends.size).toBeLessThanOrEqual(2);
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
