/** The official client of OpenAI's API against this one: only the base URL and the key differ. */
import OpenAI, {
  APIError,
  AuthenticationError,
  BadRequestError,
  NotFoundError,
  RateLimitError,
} from 'openai';
import { verifyReceipt, type Receipt } from '@tussah/protocol/receipts';
import { describe, expect, it } from 'vitest';
import {
  all,
  MODEL,
  piecesOf,
  says,
  startNetwork,
  until,
  type NetworkOptions,
  type TestNetwork,
} from '../testing/harness.ts';

const ANSWER = '12 + 7 = 19.';
const messages = [{ role: 'user' as const, content: 'What is 12 + 7?' }];

async function withClient(options: NetworkOptions = {}): Promise<{ network: TestNetwork; openai: OpenAI }> {
  const network = await startNetwork(options);
  return { network, openai: clientOf(network) };
}

const clientOf = (network: TestNetwork, apiKey = 'guest'): OpenAI =>
  new OpenAI({ baseURL: `${network.url}/v1`, apiKey, maxRetries: 0 });

async function failureOf(request: Promise<unknown>): Promise<APIError> {
  const error: unknown = await request.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof APIError)) throw new Error(`expected an APIError, not ${String(error)}`);
  return error;
}

describe('answers', () => {
  it('come whole, with usage, a valid receipt and a request id', async () => {
    const { network, openai } = await withClient();
    await network.contribute(says(ANSWER));
    const answer = await openai.chat.completions.create({ model: MODEL, messages });
    expect(answer.choices[0]).toMatchObject({
      message: { role: 'assistant', content: ANSWER, refusal: null },
      finish_reason: 'stop',
      logprobs: null,
    });
    const tokens = piecesOf(ANSWER).length;
    expect(answer.usage).toMatchObject({ completion_tokens: tokens });
    expect(answer.usage?.total_tokens).toBe((answer.usage?.prompt_tokens ?? 0) + tokens);
    expect(answer._request_id).toMatch(/^req_/);
    const { tussah } = answer as unknown as { tussah: { jobId: string; receipt: Receipt } };
    expect(answer.id).toBe(`chatcmpl-${tussah.jobId}`);
    expect(await verifyReceipt(tussah.receipt, network.publicKey)).toMatchObject({ valid: true });
    expect(await network.get(`/v1/receipts/${tussah.receipt.id}`)).toEqual(tussah.receipt);
  });

  it('stream as the text comes, and end with the finish reason', async () => {
    const { network, openai } = await withClient();
    const slowly = piecesOf(`Привет 🧵! ${ANSWER}`).map((piece) => ({ ...piece, delayMs: 3 }));
    await network.contribute(() => slowly);
    const stream = await openai.chat.completions.create({ model: MODEL, messages, stream: true });
    const texts: string[] = [];
    const reasons: unknown[] = [];
    for await (const chunk of stream) {
      expect(chunk.usage).toBeUndefined();
      texts.push(chunk.choices[0]?.delta.content ?? '');
      reasons.push(chunk.choices[0]?.finish_reason);
    }
    expect(texts.join('')).toBe(`Привет 🧵! ${ANSWER}`);
    // What comes at the same time leaves together; these came one by one.
    expect(texts.length).toBeGreaterThan(5);
    expect(reasons.at(-1)).toBe('stop');
    expect(reasons.slice(0, -1).every((reason) => reason === null)).toBe(true);
  });

  it('stream with usage in a last chunk without choices, as include_usage asks', async () => {
    const { network, openai } = await withClient();
    await network.contribute(says(ANSWER));
    const stream = await openai.chat.completions.create({
      model: MODEL,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    const chunks = await all(stream);
    const last = chunks.pop();
    expect(last?.choices).toEqual([]);
    expect(last?.usage?.completion_tokens).toBe(piecesOf(ANSWER).length);
    expect(chunks.map((chunk) => chunk.usage)).toEqual(chunks.map(() => null));
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('stop');
  });

  it('reach the contributor with seed, stop strings, sampling and bound as asked', async () => {
    const { network, openai } = await withClient();
    const contributor = await network.contribute(says(ANSWER));
    await openai.chat.completions.create({
      model: MODEL,
      messages,
      seed: 7,
      stop: ['\n\n', 'END'],
      max_completion_tokens: 17,
      temperature: 0.5,
      top_p: 0.25,
      presence_penalty: 1,
      frequency_penalty: -1,
    });
    expect(contributor.offers[0]).toMatchObject({
      seedRoot: 'seed:7',
      stop: ['\n\n', 'END'],
      maxTokens: 17,
      sampling: { temperature: 0.5, topP: 0.25, presencePenalty: 1, frequencyPenalty: -1 },
      topLogprobs: null,
    });
    await openai.chat.completions.create({ model: MODEL, messages });
    await openai.chat.completions.create({ model: MODEL, messages });
    const roots = contributor.offers.slice(1).map((offer) => offer.seedRoot);
    expect(new Set(roots).size).toBe(2);
  });

  it('end when the client aborts: the contributor is told, and free for the next', async () => {
    const { network, openai } = await withClient();
    const contributor = await network.contribute((offer) =>
      offer.maxTokens === 50 ? piecesOf('ten '.repeat(40), 20) : piecesOf(ANSWER),
    );
    const stream = await openai.chat.completions.create({
      model: MODEL,
      messages,
      stream: true,
      max_tokens: 50,
    });
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content) stream.controller.abort();
    const { jobId } = await contributor.frame('job-cancel');
    expect(jobId).toBe(contributor.offers[0]?.jobId);
    const settled = await contributor.frame('job-settled');
    expect(settled.tokens).toBeLessThan(40);
    const next = await openai.chat.completions.create({ model: MODEL, messages });
    expect(next.choices[0]?.message.content).toBe(ANSWER);
  });
});

describe('models', () => {
  it('are listed and retrieved', async () => {
    const { network, openai } = await withClient();
    await network.contribute(says(ANSWER));
    const ids = (await all(openai.models.list())).map((model) => model.id);
    expect(ids).toContain(MODEL);
    expect(await openai.models.retrieve(MODEL)).toMatchObject({ id: MODEL, object: 'model' });
    await until('its contributor is counted', async () => {
      const model = (await openai.models.retrieve(MODEL)) as unknown as { tussah: { contributors: number } };
      return model.tussah.contributors === 1;
    });
  });
});

describe('errors', () => {
  it.each([
    ['an unknown model', { model: 'gpt-9' }, NotFoundError, 404, 'model_not_found', 'model'],
    ['a wrong type', { temperature: 'hot' }, BadRequestError, 400, 'invalid_request', 'temperature'],
    ['an unsupported value', { n: 2 }, BadRequestError, 400, 'unsupported_parameter', 'n'],
    [
      'a prompt that is too long',
      { max_tokens: 1024 },
      BadRequestError,
      400,
      'context_length_exceeded',
      'messages',
    ],
  ])('%s', async (_, extra, kind, status, code, param) => {
    const { openai } = await withClient();
    const body = { model: MODEL, messages, ...extra } as OpenAI.ChatCompletionCreateParamsNonStreaming;
    const error = await failureOf(openai.chat.completions.create(body));
    expect(error).toBeInstanceOf(kind);
    expect(error).toMatchObject({ status, code, param });
    expect(error.requestID).toMatch(/^req_/);
  });

  it('a wrong key is an AuthenticationError', async () => {
    const { network } = await withClient();
    const error = await failureOf(
      clientOf(network, 'tsk_wrong').chat.completions.create({ model: MODEL, messages }),
    );
    expect(error).toBeInstanceOf(AuthenticationError);
    expect(error).toMatchObject({ status: 401, code: 'invalid_api_key' });
  });

  it('an unknown model of models.retrieve is a NotFoundError', async () => {
    const { openai } = await withClient();
    expect(await failureOf(openai.models.retrieve('gpt-9'))).toBeInstanceOf(NotFoundError);
  });

  it('a guest without money set aside is a RateLimitError', async () => {
    const { openai } = await withClient({ flags: ['--guest-daily-ton', '0.000000001'] });
    const error = await failureOf(openai.chat.completions.create({ model: MODEL, messages }));
    expect(error).toBeInstanceOf(RateLimitError);
    expect(error).toMatchObject({ status: 429, code: 'guest_budget_exhausted' });
    expect(error.headers?.get('retry-after')).toBe('2');
  });

  it('a failure in mid-answer is thrown out of the stream, with its code', async () => {
    const { network, openai } = await withClient();
    await network.contribute(async (offer, contributor) => {
      contributor.send({ type: 'job-accept', jobId: offer.jobId });
      await contributor.deliver(offer, piecesOf('12 + '));
      contributor.send({
        type: 'job-failed',
        jobId: offer.jobId,
        code: 'gpu_lost',
        message: 'The GPU is gone.',
      });
    });
    const stream = await openai.chat.completions.create({ model: MODEL, messages, stream: true });
    let text = '';
    const read = async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    };
    expect(await failureOf(read())).toMatchObject({ code: 'contributor_failed' });
    expect(text).toBe('12 + ');
  });
});
