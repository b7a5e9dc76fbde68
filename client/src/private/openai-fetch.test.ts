/** OpenAI's own client library, given our `fetch` and nothing else. */
import { errorBody, failure } from '@tussah/protocol/errors';
import type { SealedEvent } from '@tussah/protocol/private/sealed-events';
import OpenAI, { APIConnectionTimeoutError, APIError, APIUserAbortError } from 'openai';
import { describe, expect, it } from 'vitest';
import { privateFetch } from './openai-fetch.ts';
import type { PrivateProof } from './openai-shapes.ts';
import { network, pieces, question, wholeText } from './testing/asking.ts';
import { MODEL } from './testing/scripted-node.ts';

async function openAI() {
  const made = await network();
  const { client, coordinator } = made;
  const fetch = privateFetch(client, { fetch: coordinator.fetch, padding: 'none' });
  return { ...made, openai: new OpenAI({ baseURL: coordinator.baseURL, apiKey: 'guest', fetch }) };
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const list: Item[] = [];
  for await (const item of items) list.push(item);
  return list;
}

async function* afterwards(events: readonly SealedEvent[]): AsyncGenerator<SealedEvent, void, void> {
  await new Promise(() => undefined);
  yield* events;
}

const proofIn = (answer: unknown): PrivateProof => (answer as { tussah: PrivateProof }).tussah;

async function failureOf(request: Promise<unknown>): Promise<APIError> {
  const error: unknown = await request.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof APIError)) throw new Error(`expected an APIError, not ${String(error)}`);
  return error;
}

describe("OpenAI's client", () => {
  it('gets a private answer whole, with its proof', async () => {
    const { openai, coordinator, nodes } = await openAI();
    const answer = await openai.chat.completions.create({ ...question, messages: [...question.messages] });
    expect(answer.choices).toEqual([
      {
        index: 0,
        message: { role: 'assistant', content: wholeText, refusal: null },
        logprobs: null,
        finish_reason: 'stop',
      },
    ]);
    expect(answer.usage).toEqual({ prompt_tokens: 7, completion_tokens: 6, total_tokens: 13 });
    expect(proofIn(answer)).toMatchObject({
      jobId: coordinator.jobs[0]?.jobId,
      tier: 'private',
      attestation: 'simulated',
      node: { bundle: nodes[0]?.name, machine: 'tdx' },
      receipt: { node: { receipt: { completionTokens: 6 } } },
    });
    expect(proofIn(answer).node).not.toHaveProperty('verdict');
    expect(proofIn(answer)).not.toHaveProperty('failure');
    expect(answer.id).toBe(`chatcmpl-${coordinator.jobs[0]?.jobId}`);
  });

  it('gets it streamed, with usage where it asks', async () => {
    const { openai, coordinator } = await openAI();
    const stream = await openai.chat.completions.create({
      ...question,
      messages: [...question.messages],
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await all(stream);
    expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(wholeText);
    expect(chunks.slice(1, -2).map((chunk) => chunk.choices[0]?.delta.content)).toEqual(pieces);
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { total_tokens: 13 } });
    expect(proofIn(chunks.at(-1))).toMatchObject({ tier: 'private', attestation: 'simulated' });
    expect(new Set(chunks.map(({ id }) => id))).toEqual(new Set([`chatcmpl-${coordinator.jobs[0]?.jobId}`]));
  });

  it('that stops reading ends the answer where it is made', async () => {
    const { openai, coordinator } = await openAI();
    coordinator.cheats.events = async function* (events) {
      yield* events.slice(0, 3);
      await new Promise(() => undefined);
    };
    const stream = await openai.chat.completions.create({
      ...question,
      messages: [...question.messages],
      stream: true,
    });
    for await (const chunk of stream) if ((chunk.choices[0]?.delta.content ?? '') !== '') break;
    await expect.poll(() => coordinator.cancelled).toEqual([coordinator.jobs[0]?.jobId]);
  });

  it.each([
    ['whole', false],
    ['streamed', true],
  ])('that is stopped before the text hears its own abort: %s', async (_, stream) => {
    const { openai, coordinator } = await openAI();
    coordinator.cheats.events = afterwards;
    const controller = new AbortController();
    const asked = openai.chat.completions.create(
      { ...question, messages: [...question.messages], stream },
      { signal: controller.signal },
    );
    await expect.poll(() => coordinator.jobs).toHaveLength(1);
    controller.abort();
    await expect(asked).rejects.toBeInstanceOf(APIUserAbortError);
    await expect.poll(() => coordinator.cancelled).toEqual([coordinator.jobs[0]?.jobId]);
  });

  it('whose time is over hears that, and not an error of ours', async () => {
    const { openai, coordinator } = await openAI();
    coordinator.cheats.events = afterwards;
    const asked = openai.chat.completions.create(
      { ...question, messages: [...question.messages] },
      { timeout: 300, maxRetries: 0 },
    );
    await expect(asked).rejects.toBeInstanceOf(APIConnectionTimeoutError);
  });

  it('whose signal ends a body that nobody reads breaks it off', async () => {
    const { client, coordinator } = await openAI();
    coordinator.cheats.events = async function* (events) {
      yield* events.slice(0, 3);
      await new Promise(() => undefined);
    };
    const controller = new AbortController();
    const ours = privateFetch(client, { padding: 'none' });
    const response = await ours(`${coordinator.baseURL}/chat/completions`, {
      method: 'POST',
      body: JSON.stringify({ ...question, stream: true }),
      signal: controller.signal,
    });
    controller.abort();
    await expect(response.text()).rejects.toMatchObject({ name: 'AbortError' });
    await expect.poll(() => coordinator.cancelled).toEqual([coordinator.jobs[0]?.jobId]);
  });

  it('or whoever cancels the body, too', async () => {
    const { client, coordinator } = await openAI();
    coordinator.cheats.events = async function* (events) {
      yield* events.slice(0, 3);
      await new Promise(() => undefined);
    };
    const body = JSON.stringify({ ...question, stream: true });
    const ours = privateFetch(client, { padding: 'none' });
    const response = await ours(`${coordinator.baseURL}/chat/completions`, { method: 'POST', body });
    expect(response.headers.get('x-tussah-job-id')).toBe(coordinator.jobs[0]?.jobId);
    await response.body?.cancel();
    await expect.poll(() => coordinator.cancelled).toEqual([coordinator.jobs[0]?.jobId]);
  });

  it.each([
    ['whole', false],
    ['streamed', true],
  ])('gets an error, and no second try, for a lie before the text: %s', async (_, stream) => {
    const { openai, coordinator } = await openAI();
    coordinator.cheats.events = (events) => events.slice(1);
    const asked = openai.chat.completions.create({ ...question, messages: [...question.messages], stream });
    expect(await failureOf(asked)).toMatchObject({ status: 502, code: 'chunk_forged' });
    expect(coordinator.jobs).toHaveLength(1);
  });

  it('gets an error for a lie in the midst of the text', async () => {
    const { openai, coordinator } = await openAI();
    coordinator.cheats.events = (events) => events.slice(0, 4);
    const stream = await openai.chat.completions.create({
      ...question,
      messages: [...question.messages],
      stream: true,
    });
    expect(await failureOf(all(stream))).toMatchObject({ code: 'truncated' });
    const asked = openai.chat.completions.create({ ...question, messages: [...question.messages] });
    expect(await failureOf(asked)).toMatchObject({ code: 'truncated' });
  });

  it('gets the text, and the failure beside it, when only the receipt is wrong', async () => {
    const { openai, coordinator } = await openAI();
    coordinator.cheats.receipt = (body) => ({ ...body, chargedNano: '999999' });
    const answer = await openai.chat.completions.create({ ...question, messages: [...question.messages] });
    expect(answer.choices[0]?.message.content).toBe(wholeText);
    expect(proofIn(answer)).toMatchObject({
      failure: { code: 'receipt_mismatch' },
      attestation: 'simulated',
    });
    const stream = await openai.chat.completions.create({
      ...question,
      messages: [...question.messages],
      stream: true,
    });
    expect(proofIn((await all(stream)).at(-1))).toMatchObject({
      failure: { code: 'receipt_mismatch' },
    });
  });

  it('is told how long to wait', async () => {
    const { client, coordinator } = await openAI();
    const headers = { 'retry-after': '7' };
    coordinator.cheats.response = () =>
      Response.json(errorBody(failure('rate_limited')), { status: 429, headers });
    const ours = privateFetch(client);
    const asked = { method: 'POST', body: JSON.stringify(question) };
    const response = await ours(`${coordinator.baseURL}/chat/completions`, asked);
    expect(response.status).toBe(429);
    expect(response.headers.get('retry-after')).toBe('7');
    expect(response.headers.get('x-should-retry')).toBe('true');
  });

  it('is refused by name what cannot be honoured', async () => {
    const { openai, coordinator } = await openAI();
    const asked = openai.chat.completions.create({
      ...question,
      messages: [...question.messages],
      tools: [{ type: 'function', function: { name: 'f' } }],
    });
    expect(await failureOf(asked)).toMatchObject({
      status: 400,
      code: 'unsupported_parameter',
      param: 'tools',
    });
    expect(coordinator.seen).toEqual([]);
  });

  it('reads the catalogue, and can send nothing else past us', async () => {
    const { openai, coordinator } = await openAI();
    expect((await openai.models.list()).data).toEqual([]);
    expect(coordinator.seen.map(({ path }) => path)).toEqual(['/v1/models']);
    const input = 'in the clear';
    for (const request of [
      openai.embeddings.create({ model: MODEL, input }),
      openai.responses.create({ model: MODEL, input }),
      openai.completions.create({ model: MODEL, prompt: input }),
      openai.get('/chat/completions?q=in'),
      openai.get('/models/../receipts'),
    ])
      expect(await failureOf(request)).toMatchObject({ status: 404 });
    expect(coordinator.seen).toHaveLength(1);
  });

  it('is refused other addresses than the client’s own', async () => {
    const { client, coordinator } = await openAI();
    const ours = privateFetch(client, { fetch: coordinator.fetch });
    const asked = { method: 'POST', body: JSON.stringify(question) };
    for (const url of [
      'http://other.test/v1/chat/completions',
      'http://coordinator.test/v2/chat/completions',
    ])
      expect((await ours(url, asked)).status).toBe(404);
    expect((await ours(`${coordinator.baseURL}/chat/completions`, { ...asked, body: '{' })).status).toBe(400);
    expect(coordinator.seen).toEqual([]);
  });
});
