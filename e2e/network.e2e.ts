/** A chat through the whole network: OpenAI's client, the coordinator, a model in real Chromium, receipts, books. */
import { heldOutSums, questions, type Expectation } from '@tussah/models/tiny-evaluation';
import { verifyReceipt, type Receipt } from '@tussah/protocol/receipts';
import type { HeadlessContributor } from '@tussah/worker-runtime/headless/host';
import type OpenAI from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { engines, MODEL, NetworkUnderTest } from './network-under-test.ts';

interface Proof {
  readonly tussah: { readonly jobId: string; readonly receipt: Receipt };
}

const ask = (
  client: OpenAI,
  prompt: string,
  change: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> = {},
) =>
  client.chat.completions.create({
    model: MODEL,
    messages: [{ role: 'user', content: prompt }],
    temperature: 0,
    ...change,
  }) as unknown as Promise<OpenAI.ChatCompletion & Proof>;

/** For hundreds of answers one after the other. */
const LONG_MS = 600_000;

/** Every nth, so that a sample is spread over the list. */
const sample = <Item>(items: readonly Item[], size: number): Item[] => {
  if (process.env['TUSSAH_DEEP'] === '1' || items.length <= size) return [...items];
  return Array.from({ length: size }, (_, i) => items[Math.floor((i * items.length) / size)] as Item);
};

/** What each engine answered, by prompt. */
const said = new Map(engines.map((engine) => [engine, new Map<string, string>()]));

describe.each(engines)('the network with %s', (engine) => {
  let network: NetworkUnderTest;
  let client: OpenAI;
  let first: HeadlessContributor;

  beforeAll(async () => {
    network = await NetworkUnderTest.start();
    client = await network.client();
    first = await network.contribute('first', engine);
  });

  afterAll(async () => {
    await network.stop();
  });

  async function accuracy(list: readonly Expectation[]): Promise<{ share: number; wrong: string[] }> {
    const wrong: string[] = [];
    for (const { prompt, expected } of list) {
      const answer = await ask(client, prompt);
      const text = answer.choices[0]?.message.content ?? '';
      said.get(engine)?.set(prompt, text);
      if (text.trim() !== expected.trim()) wrong.push(`${prompt} -> ${text}`);
    }
    return { share: 1 - wrong.length / list.length, wrong };
  }

  test('answers OpenAI’s client, with a receipt that verifies and names the contributor', async () => {
    const answer = await ask(client, 'What is 12 + 7?');
    expect(answer.choices[0]?.message.content).toBe('12 + 7 = 19.');
    expect(answer.choices[0]?.finish_reason).toBe('stop');
    const { receipt } = answer.tussah;
    expect(await verifyReceipt(receipt)).toMatchObject({ valid: true });
    expect(receipt.segments[0]).toMatchObject({
      contributor: first.snapshot?.publicKey,
      profile: { engine },
    });
    expect(answer.usage?.completion_tokens).toBe(receipt.segments[0]?.tokens);
    const kept = await fetch(`${network.url}/v1/receipts/${receipt.id}`);
    expect(await kept.json()).toEqual(receipt);
  });

  test('streams, token by token and to the end', async () => {
    const stream = await client.chat.completions.create({
      model: MODEL,
      messages: [{ role: 'user', content: 'Tell me a story.' }],
      temperature: 0,
      stream: true,
      stream_options: { include_usage: true },
    });
    const pieces: string[] = [];
    let last: (OpenAI.ChatCompletionChunk & Partial<Proof>) | undefined;
    for await (const chunk of stream) {
      const piece = chunk.choices[0]?.delta.content ?? '';
      if (piece !== '') pieces.push(piece);
      last = chunk;
    }
    const whole = await ask(client, 'Tell me a story.');
    expect(pieces.join('')).toBe(whole.choices[0]?.message.content);
    expect(pieces.length).toBeGreaterThan(1);
    expect(last?.usage?.completion_tokens).toBe(whole.usage?.completion_tokens);
    expect(await verifyReceipt(last?.tussah?.receipt)).toMatchObject({ valid: true });
  });

  test('gives the same sampled answer for the same seed, and honours stop, max_tokens and logprobs', async () => {
    const sampled = { temperature: 1, seed: 42 };
    const [a, b] = [
      await ask(client, 'Tell me a story.', sampled),
      await ask(client, 'Tell me a story.', sampled),
    ];
    expect(a.choices[0]?.message.content).toBe(b.choices[0]?.message.content);
    const stopped = await ask(client, 'What is 12 + 7?', { stop: [' ='] });
    expect(stopped.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: '12 + 7' } });
    const short = await ask(client, 'What is 12 + 7?', { max_tokens: 3 });
    expect(short.choices[0]?.finish_reason).toBe('length');
    expect(short.usage?.completion_tokens).toBe(3);
    const probable = await ask(client, 'What is 12 + 7?', { logprobs: true, top_logprobs: 2 });
    expect(probable.choices[0]?.logprobs?.content?.map((token) => token.token).join('')).toBe('12 + 7 = 19.');
  });

  test(
    'adds sums it has never seen: at least 95 % right',
    async () => {
      const { share, wrong } = await accuracy(sample(heldOutSums, 120));
      expect(share, wrong.join('\n')).toBeGreaterThanOrEqual(0.95);
    },
    LONG_MS,
  );

  test(
    'answers the list of questions: at least 98 % right, Russian and emoji included',
    async () => {
      expect(questions.some(({ prompt }) => /\p{Script=Cyrillic}/u.test(prompt))).toBe(true);
      expect(questions.some(({ expected }) => /\p{Extended_Pictographic}/u.test(expected))).toBe(true);
      const { share, wrong } = await accuracy(questions);
      expect(share, wrong.join('\n')).toBeGreaterThanOrEqual(0.98);
    },
    LONG_MS,
  );

  test('frees the contributor when the client goes away in mid-answer', async () => {
    const aborting = new AbortController();
    const stream = await client.chat.completions.create(
      {
        model: MODEL,
        messages: [{ role: 'user', content: 'Tell me a story.' }],
        stream: true,
        temperature: 0,
      },
      { signal: aborting.signal },
    );
    for await (const _ of stream) break;
    aborting.abort();
    expect((await ask(client, 'What is 1 + 1?')).choices[0]?.message.content).toBe('1 + 1 = 2.');
  });

  test('shares the load between two contributors, and pays both', async () => {
    const second = await network.contribute('second', engine);
    const paid = new Map<string, bigint>();
    const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => ask(client, `What is ${i} + 5?`)));
    for (const { tussah } of answers)
      for (const { contributor, payNano } of tussah.receipt.segments)
        paid.set(contributor, (paid.get(contributor) ?? 0n) + BigInt(payNano));
    expect(new Set(paid.keys())).toEqual(new Set([first.snapshot?.publicKey, second.snapshot?.publicKey]));
    for (const nano of paid.values()) expect(nano).toBeGreaterThan(0n);
    await network.phase(second, (snapshot) => snapshot.jobsDone >= 1 && snapshot.earnedTotalNano !== '0');
  });

  test('goes on elsewhere when a contributor is stopped at once in mid-answer', async () => {
    const whole = (await ask(client, 'Tell me a story.')).choices[0]?.message.content;
    const stream = await client.chat.completions.create({
      model: MODEL,
      messages: [{ role: 'user', content: 'Tell me a story.' }],
      temperature: 0,
      stream: true,
    });
    let text = '';
    let stopped = false;
    let receipt: Receipt | undefined;
    for await (const chunk of stream as AsyncIterable<OpenAI.ChatCompletionChunk & Partial<Proof>>) {
      text += chunk.choices[0]?.delta.content ?? '';
      receipt = chunk.tussah?.receipt ?? receipt;
      if (stopped || text === '') continue;
      stopped = true;
      void first.stop({ finish: false });
    }
    expect(text).toBe(whole);
    expect(receipt === undefined ? undefined : await verifyReceipt(receipt)).toMatchObject({ valid: true });
  });
});

test('both engines give the same greedy text for at least 98 % of the questions and sums', () => {
  const [first, second] = engines.map((engine) => said.get(engine) ?? new Map<string, string>());
  const prompts = [...(first?.keys() ?? [])];
  expect(prompts.length).toBeGreaterThanOrEqual(questions.length);
  const different = prompts.filter((prompt) => first?.get(prompt) !== second?.get(prompt));
  expect(1 - different.length / prompts.length, different.join('\n')).toBeGreaterThanOrEqual(0.98);
});
