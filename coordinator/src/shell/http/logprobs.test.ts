/** Log probabilities, for a model whose builds deliver them. */
import OpenAI from 'openai';
import type { Logprob } from '@tussah/protocol/sampling';
import { expect, it, vi } from 'vitest';
import { collect, MODEL, piecesOf, startNetwork } from '../testing/harness.ts';

vi.mock(import('@tussah/models/catalogue'), async (original) => {
  const actual = await original();
  const catalogue = actual.catalogue.map((model) => ({
    ...model,
    capabilities: model.id === 'qwen3-0.6b' ? [] : ['logprobs' as const],
  }));
  return { ...actual, catalogue, modelById: (id) => catalogue.find((model) => model.id === id) };
});

const WITHOUT = 'qwen3-0.6b';
const messages = [{ role: 'user' as const, content: 'What is 12 + 7?' }];

const logprobOf = (token: string): Logprob => ({
  token,
  logprob: -0.25,
  bytes: [...Buffer.from(token)],
  top_logprobs: [{ token, logprob: -0.25, bytes: null }],
});

const withLogprobs = () => piecesOf('19.').map((piece) => ({ ...piece, logprobs: [logprobOf(piece.text)] }));

it('come whole, one for each token', async () => {
  const network = await startNetwork();
  const contributor = await network.contribute(withLogprobs);
  const openai = new OpenAI({ baseURL: `${network.url}/v1`, apiKey: 'guest', maxRetries: 0 });
  const answer = await openai.chat.completions.create({
    model: MODEL,
    messages,
    logprobs: true,
    top_logprobs: 1,
  });
  expect(contributor.offers[0]?.topLogprobs).toBe(1);
  expect(answer.choices[0]?.logprobs?.content).toEqual(withLogprobs().flatMap((piece) => piece.logprobs));
});

it('stream beside their text', async () => {
  const network = await startNetwork();
  await network.contribute(withLogprobs);
  const openai = new OpenAI({ baseURL: `${network.url}/v1`, apiKey: 'guest', maxRetries: 0 });
  const stream = await openai.chat.completions.create({
    model: MODEL,
    messages,
    logprobs: true,
    stream: true,
  });
  const tokens: string[] = [];
  for await (const chunk of stream)
    for (const { token } of chunk.choices[0]?.logprobs?.content ?? []) tokens.push(token);
  expect(tokens).toEqual(piecesOf('19.').map((piece) => piece.text));
});

it('are repeated with the answer to a request with the same Idempotency-Key', async () => {
  const network = await startNetwork();
  await network.contribute(withLogprobs);
  const body = { messages, logprobs: true };
  const options = { headers: { 'idempotency-key': 'again' } };
  const first = await network.answer(body, options);
  expect(await network.answer(body, options)).toEqual(first);
  expect((await collect(await network.chat({ ...body, stream: true }, options))).text).toBe('19.');
});

it('are a breach when nobody asked: the answer goes on elsewhere', async () => {
  const network = await startNetwork();
  const liar = await network.contribute(withLogprobs);
  const honest = network.contribute(() => piecesOf('19.'));
  expect((await network.answer({ messages })).choices[0]?.message.content).toBe('19.');
  await honest;
  expect(await liar.closed()).toBe(4409);
});

it('are refused by name for a model that does not have them', async () => {
  const network = await startNetwork();
  const response = await network.chat({ model: WITHOUT, logprobs: true });
  expect(response.status).toBe(400);
  expect(await response.json()).toMatchObject({
    error: { code: 'unsupported_parameter', param: 'logprobs' },
  });
});
