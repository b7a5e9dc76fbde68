import type { ServerResponse } from 'node:http';
import type { InnerRequest } from '@tussah/protocol/private/inner-request';
import { afterEach, describe, expect, it } from 'vitest';
import { scriptedServer, type Script, type ScriptedServer } from '../testing/scripted-server.ts';
import { LocalUpstream } from './local-upstream.ts';

const models = (entry: object = {}) => ({
  object: 'list',
  data: [{ id: 'served', object: 'model', ...entry }],
});

/** What each kind answers to the questions that tell them apart. */
const kinds = {
  vllm: {
    'GET /version': { version: '0.11.0' },
    'GET /v1/models': models({ owned_by: 'vllm', max_model_len: 32_768 }),
    'POST /tokenize': { count: 23, max_model_len: 32_768, tokens: [1, 2, 3] },
  },
  sglang: {
    'GET /get_server_info': { version: '0.5.3', model_path: '/models/x', tp_size: 8 },
    'GET /v1/models': models({ owned_by: 'sglang', max_model_len: 16_384 }),
  },
  'llama-server': {
    'GET /props': { build_info: 'b6700-abc', default_generation_settings: { n_ctx: 8_192 }, total_slots: 4 },
    'GET /v1/models': models({ owned_by: 'llamacpp' }),
    'POST /apply-template': { prompt: '<|im_start|>user' },
    'POST /tokenize': { tokens: [1, 2, 3, 4] },
  },
} as const satisfies Record<string, Script>;

const servers: ScriptedServer[] = [];
afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

async function upstreamWith(script: Script, more: { readonly executables?: readonly string[] } = {}) {
  const server = await scriptedServer(script);
  servers.push(server);
  const settings = { model: 'served', executables: null, embedded: false, ...more };
  const upstream = new LocalUpstream({ to: server.to, ...settings });
  return { server, upstream };
}

const inner = (changes: Partial<InnerRequest> = {}): InnerRequest => ({
  version: 1,
  jobId: 'job_000000000000000000000000',
  model: 'm',
  maxTokens: 64,
  messages: [{ role: 'user', content: 'secret' }],
  sampling: { temperature: 0.5, topP: 0.9, presencePenalty: 0.1, frequencyPenalty: 0.2 },
  stop: ['###'],
  seed: 7,
  continuation: null,
  ...changes,
});
const never = () => new AbortController().signal;

describe('what listens there', () => {
  it.each([
    ['vllm', '0.11.0', 32_768],
    ['sglang', '0.5.3', 16_384],
    ['llama-server', 'b6700-abc', 8_192],
  ] as const)('is known as %s', async (kind, version, contextTokens) => {
    const { upstream } = await upstreamWith(kinds[kind]);
    expect(await upstream.identify()).toMatchObject({ ok: true, value: { kind, version, contextTokens } });
  });

  it('has a digest of its configuration that changes with it', async () => {
    const digests = new Set<string>();
    for (const script of [
      kinds.vllm,
      { ...kinds.vllm, 'GET /version': { version: '0.11.1' } },
      kinds.sglang,
    ]) {
      const facts = await (await upstreamWith(script)).upstream.identify();
      if (facts.ok) digests.add(facts.value.configDigest);
    }
    expect(digests.size).toBe(3);
  });

  it.each<[string, string, Script]>([
    ['an unknown server', 'upstream_unknown', { 'GET /v1/models': models({ max_model_len: 5 }) }],
    [
      'Ollama, which has a version too',
      'upstream_unknown',
      {
        'GET /v1/models': models({ max_model_len: 5 }),
        'GET /version': { version: '1', name: 'x' },
      },
    ],
    [
      'the embedded upstream, which is for simulated nodes',
      'upstream_unknown',
      {
        'GET /v1/models': models({ max_model_len: 5 }),
        'GET /version': { version: '1', server: 'tussah-embedded' },
      },
    ],
    [
      'a server without the model',
      'upstream_model_missing',
      {
        ...kinds.vllm,
        'GET /v1/models': { object: 'list', data: [{ id: 'other' }] },
      },
    ],
    ['one that hides its context', 'upstream_context_unknown', { ...kinds.vllm, 'GET /v1/models': models() }],
    [
      'a redirection',
      'upstream_unreachable',
      {
        'GET /v1/models': (response: ServerResponse) =>
          response.writeHead(302, { location: 'http://example.com/' }).end(),
      },
    ],
    [
      'endless JSON',
      'upstream_unreachable',
      {
        'GET /v1/models': (response: ServerResponse) => response.end('x'.repeat(2_000_000)),
      },
    ],
  ])('is refused: %s', async (_, code, script) => {
    const { upstream } = await upstreamWith(script);
    expect(await upstream.identify()).toMatchObject({ ok: false, failure: { code } });
  });

  it('serves nothing before it was identified', async () => {
    const { upstream, server } = await upstreamWith(kinds.vllm);
    expect(await upstream.countPrompt(inner(), never())).toMatchObject({ ok: false });
    expect(await upstream.answer(inner(), () => undefined, never())).toMatchObject({ how: 'failed' });
    expect(server.asked).toEqual([]);
  });
});

const sse = (...events: readonly unknown[]) =>
  events.map((event) => `data: ${typeof event === 'string' ? event : JSON.stringify(event)}\n\n`).join('');
const delta = (content: string | null, finish_reason: string | null = null) => ({
  choices: [{ index: 0, delta: content === null ? {} : { content }, finish_reason }],
});
const usage = { choices: [], usage: { prompt_tokens: 23, completion_tokens: 5, total_tokens: 28 } };
const streaming = (text: string) => (response: ServerResponse) =>
  void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text);
const completions = 'POST /v1/chat/completions';

async function answerOf(text: string, kind: keyof typeof kinds = 'vllm', request = inner()) {
  const { upstream, server } = await upstreamWith({ ...kinds[kind], [completions]: streaming(text) });
  await upstream.identify();
  let heard = '';
  const end = await upstream.answer(request, (piece) => (heard += piece), never());
  const sent = server.asked.find(({ what }) => what === completions)?.body;
  return { heard, end, sent };
}

describe('an answer', () => {
  it('is passed on as it comes, with the upstream’s counts', async () => {
    const { heard, end, sent } = await answerOf(
      sse(delta(''), delta('12'), delta(' + 7'), delta(null, 'stop'), usage, '[DONE]'),
    );
    expect(heard).toBe('12 + 7');
    expect(end).toEqual({ how: 'complete', finishReason: 'stop', promptTokens: 23, completionTokens: 5 });
    expect(sent).toEqual({
      model: 'served',
      messages: [{ role: 'user', content: 'secret' }],
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 64,
      temperature: 0.5,
      top_p: 0.9,
      presence_penalty: 0.1,
      frequency_penalty: 0.2,
      stop: ['###'],
      seed: 7,
      cache_salt: inner().jobId,
    });
  });

  it('shares no cached prompt with anybody', async () => {
    const text = sse(delta('x', 'stop'), usage, '[DONE]');
    expect((await answerOf(text, 'vllm')).sent).toMatchObject({ cache_salt: inner().jobId });
    expect((await answerOf(text, 'llama-server')).sent).toMatchObject({ cache_prompt: false });
  });

  it.each([
    ['vllm', { continue_final_message: true, add_generation_prompt: false }],
    ['sglang', { continue_final_message: true, add_generation_prompt: false }],
    ['llama-server', {}],
  ] as const)('is gone on with as %s wants it', async (kind, more) => {
    const request = inner({ continuation: { text: '12 +' }, seed: null, stop: [] });
    const { sent } = await answerOf(sse(delta(' 7', 'stop'), usage, '[DONE]'), kind, request);
    const body = sent as Record<string, unknown>;
    expect(body['messages']).toEqual([
      { role: 'user', content: 'secret' },
      { role: 'assistant', content: '12 +' },
    ]);
    expect(body).toMatchObject(more);
    if (kind === 'llama-server') expect(body).not.toHaveProperty('continue_final_message');
    for (const absent of ['seed', 'stop']) expect(body).not.toHaveProperty(absent);
  });

  it.each([
    ['is cut', sse(delta('half'))],
    ['ends without counts', sse(delta('half', 'stop'), '[DONE]')],
    ['ends for a reason that is not ours', sse(delta('x', 'content_filter'), usage, '[DONE]')],
    ['is an error in the stream', sse({ error: { message: 'secret' } })],
    ['is no JSON', sse('{')],
    [
      'is longer than asked for',
      sse(...Array.from({ length: 100 }, () => delta('x'.repeat(1_000))), usage, '[DONE]'),
    ],
    [
      'has more pieces than tokens were asked for',
      sse(...Array.from({ length: 200 }, () => delta('x')), delta(null, 'stop'), usage, '[DONE]'),
    ],
  ])('that %s has failed', async (_, text) => {
    expect((await answerOf(text)).end).toEqual({ how: 'failed', code: 'upstream_failed' });
  });

  it.each([
    [400, 'This model’s maximum context length is 4096 tokens: secret', 'too_long'],
    [400, 'bad value', 'unsupported'],
    [500, 'CUDA out of memory', 'upstream_failed'],
    [429, 'busy', 'upstream_failed'],
    [302, '', 'upstream_failed'],
  ])('refused with HTTP %i is %s', async (status, message, code) => {
    const { upstream } = await upstreamWith({
      ...kinds.vllm,
      [completions]: (response: ServerResponse) => {
        response
          .writeHead(status, { location: 'http://example.com/' })
          .end(JSON.stringify({ error: { message } }));
      },
    });
    await upstream.identify();
    expect(await upstream.answer(inner(), () => undefined, never())).toEqual({ how: 'failed', code });
  });

  it('is aborted at the upstream when nobody wants it any more', async () => {
    let closed: () => void = () => undefined;
    const gone = new Promise<void>((resolve) => (closed = resolve));
    const { upstream } = await upstreamWith({
      ...kinds.vllm,
      [completions]: (response: ServerResponse) => {
        response.on('close', closed);
        response.writeHead(200).write(sse(delta('endless')));
      },
    });
    await upstream.identify();
    const abort = new AbortController();
    const end = upstream.answer(inner(), () => abort.abort(), abort.signal);
    expect(await end).toEqual({ how: 'aborted' });
    await gone;
  });
});

describe.runIf(process.platform === 'linux')('a port that changes hands within an epoch', () => {
  const text = sse(delta('x', 'stop'), usage, '[DONE]');
  const serving = { ...kinds.vllm, [completions]: streaming(text) };
  const again = async (script: Script) => {
    const { upstream, server } = await upstreamWith(serving, { executables: [process.execPath] });
    expect((await upstream.identify()).ok).toBe(true);
    await server.close();
    const second = await scriptedServer(script, server.to.port);
    servers.splice(0, servers.length, second);
    return { upstream, second };
  };

  it('is looked at again, and used when it is the same program as before', async () => {
    const { upstream } = await again(serving);
    expect((await upstream.countPrompt(inner(), never())).ok).toBe(true);
    expect((await upstream.answer(inner(), () => undefined, never())).how).toBe('complete');
  });

  it('is looked at once for all jobs that wait', async () => {
    const { upstream, second } = await again(serving);
    const counted = await Promise.all(
      Array.from({ length: 20 }, () => upstream.countPrompt(inner(), never())),
    );
    expect(counted.every(({ ok }) => ok)).toBe(true);
    expect(second.asked.filter(({ what }) => what === 'GET /version')).toHaveLength(1);
  });

  it('gets nothing of a prompt when it is another', async () => {
    const { upstream, second } = await again({ ...serving, 'GET /version': { version: '0.11.1' } });
    expect((await upstream.countPrompt(inner(), never())).ok).toBe(false);
    expect((await upstream.answer(inner(), () => undefined, never())).how).toBe('failed');
    expect(second.asked.filter(({ what }) => what.startsWith('POST'))).toEqual([]);
  });
});

describe('the prompt', () => {
  it.each([
    ['vllm', 23],
    ['llama-server', 4],
    ['sglang', null],
  ] as const)('is counted by %s', async (kind, count) => {
    const { upstream } = await upstreamWith(kinds[kind]);
    await upstream.identify();
    expect(await upstream.countPrompt(inner(), never())).toEqual({ ok: true, value: count });
  });

  it('is not counted when the upstream’s word can’t be read', async () => {
    const { upstream } = await upstreamWith({ ...kinds.vllm, 'POST /tokenize': { count: 'many' } });
    await upstream.identify();
    expect((await upstream.countPrompt(inner(), never())).ok).toBe(false);
  });
});

describe('what can’t be honoured', () => {
  const assistantLast = { messages: [{ role: 'assistant' as const, content: 'x' }] };
  it.each<[keyof typeof kinds, string | undefined, Partial<InnerRequest>]>([
    ['vllm', undefined, {}],
    ['vllm', undefined, { seed: -5 }],
    ['vllm', 'messages', { ...assistantLast, continuation: { text: 'x' } }],
    ['sglang', 'seed', {}],
    ['sglang', undefined, { seed: null }],
    ['llama-server', undefined, {}],
    ['llama-server', 'seed', { seed: -1 }],
    ['llama-server', 'seed', { seed: 0xff_ff_ff_ff }],
    ['llama-server', 'messages', assistantLast],
  ])('by %s: %s', async (kind, member, changes) => {
    const { upstream } = await upstreamWith(kinds[kind]);
    await upstream.identify();
    expect(upstream.unsupported(inner(changes))).toBe(member);
  });
});
