import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readChatRequest, type ChatRequest } from './chat-request.ts';
import { limits } from './limits.ts';

const messages = [{ role: 'user', content: 'Hello' }];
const base = { model: 'tiny', messages };

function accepted(body: object): ChatRequest {
  const result = readChatRequest(body);
  if (!result.ok) throw new Error(result.failure.message);
  return result.value;
}

function refused(body: unknown) {
  const result = readChatRequest(body);
  if (result.ok) throw new Error('the request was accepted');
  const { code, param, message } = result.failure;
  return { code, param, message };
}

describe('readChatRequest', () => {
  it('fills in what was left out', () => {
    expect(accepted(base)).toEqual({
      model: 'tiny',
      messages,
      stream: false,
      includeUsage: false,
      sampling: { temperature: 1, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
      maxTokens: undefined,
      stop: [],
      seed: undefined,
      topLogprobs: null,
      user: undefined,
      tier: 'public',
      maxPriceNano: undefined,
      maxTtftMs: undefined,
      minTokensPerSecond: undefined,
      maxWaitMs: limits.maxWaitMsDefault,
      resumable: false,
      resume: undefined,
    });
  });

  it.each<[string, object, Partial<ChatRequest>]>([
    [
      'stream',
      { stream: true, stream_options: { include_usage: true } },
      { stream: true, includeUsage: true },
    ],
    [
      'no obfuscation',
      { stream: true, stream_options: { include_obfuscation: false } },
      { includeUsage: false },
    ],
    ['max_tokens', { max_tokens: 5 }, { maxTokens: 5 }],
    ['max_completion_tokens', { max_completion_tokens: 5 }, { maxTokens: 5 }],
    ['both, alike', { max_tokens: 5, max_completion_tokens: 5 }, { maxTokens: 5 }],
    ['one stop string', { stop: 'end' }, { stop: ['end'] }],
    ['four stop strings', { stop: ['a', 'b', 'c', 'd'] }, { stop: ['a', 'b', 'c', 'd'] }],
    ['no stop strings', { stop: [] }, { stop: [] }],
    ['a negative seed', { seed: -5 }, { seed: -5 }],
    ['seed 0', { seed: 0 }, { seed: 0 }],
    ['logprobs', { logprobs: true }, { topLogprobs: 0 }],
    ['top_logprobs', { logprobs: true, top_logprobs: 5 }, { topLogprobs: 5 }],
    ['user', { user: 'somebody' }, { user: 'somebody' }],
    [
      'sampling',
      { temperature: 0, top_p: 0.5, presence_penalty: -2, frequency_penalty: 2 },
      { sampling: { temperature: 0, topP: 0.5, presencePenalty: -2, frequencyPenalty: 2 } },
    ],
    [
      'our own',
      { tussah: { tier: 'private', maxPriceNano: '7', maxTtftMs: 9, minTokensPerSecond: 0.5, maxWaitMs: 0 } },
      { tier: 'private', maxPriceNano: 7n, maxTtftMs: 9, minTokensPerSecond: 0.5, maxWaitMs: 0 },
    ],
  ])('reads %s', (_, body, expected) => {
    expect(accepted({ ...base, ...body })).toMatchObject(expected);
  });

  it('reads developer messages as system messages, and joins text parts', () => {
    const parts = [
      { type: 'text', text: 'a' },
      { type: 'text', text: 'b' },
    ];
    const request = accepted({
      ...base,
      messages: [
        { role: 'developer', content: 'Be brief.' },
        { role: 'user', content: parts },
      ],
    });
    expect(request.messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: 'ab' },
    ]);
  });

  it('reads an answer sent back as it came', () => {
    const answer = {
      role: 'assistant',
      content: 'Hi',
      refusal: null,
      annotations: [],
      tool_calls: [],
      audio: null,
    };
    expect(accepted({ ...base, messages: [...messages, answer] }).messages[1]).toEqual({
      role: 'assistant',
      content: 'Hi',
    });
  });

  const optional =
    `stream stream_options temperature top_p max_tokens max_completion_tokens stop seed presence_penalty
    frequency_penalty logprobs top_logprobs user n tussah functions response_format tools tool_choice
    parallel_tool_calls logit_bias store service_tier modalities`.split(/\s+/);
  it.each(optional)('takes %s: null for left out', (name) => {
    expect(accepted({ ...base, [name]: null })).toEqual(accepted(base));
  });

  it.each<[string, unknown, unknown]>([
    ['n', 1, 2],
    ['tools', [], [{ type: 'function' }]],
    ['functions', [], [{ name: 'f' }]],
    ['tool_choice', 'none', 'auto'],
    ['response_format', { type: 'text' }, { type: 'json_object' }],
    ['logit_bias', {}, { 5: 1 }],
    ['store', false, true],
    ['service_tier', 'auto', 'flex'],
    ['modalities', ['text'], ['text', 'audio']],
    ['modalities', ['text'], ['audio']],
  ])('lets a neutral %s pass: %j, and refuses %j by name', (name, neutral, meaningful) => {
    expect(accepted({ ...base, [name]: neutral })).toEqual(accepted(base));
    const { code, param, message } = refused({ ...base, [name]: meaningful });
    expect(code).toBe('unsupported_parameter');
    expect(param).toMatch(new RegExp(`^${name}`));
    expect(message).toContain(name);
  });

  it.each<[string, object, string]>([
    ['an unknown parameter', { reasoning_effort: 'high' }, 'reasoning_effort'],
    ['metadata', { metadata: {} }, 'metadata'],
    ['a member of ours', { tussah: { provider: 'x' } }, 'tussah.provider'],
    ['a name', { messages: [{ role: 'user', content: 'x', name: 'Ada' }] }, 'messages[0].name'],
    [
      'an image',
      {
        messages: [messages[0], { role: 'user', content: [{ type: 'image_url', image_url: { url: 'x' } }] }],
      },
      'messages[1].content[0].type',
    ],
    [
      'tool calls',
      { messages: [{ role: 'assistant', content: 'x', tool_calls: [{}] }] },
      'messages[0].tool_calls',
    ],
    ['a refusal', { messages: [{ role: 'assistant', content: 'x', refusal: 'no' }] }, 'messages[0].refusal'],
    ['constructor', { constructor: 1 }, 'constructor'],
    ['__proto__', JSON.parse('{"__proto__":{"stream":true}}'), '__proto__'],
    ['a sentence as a name', { 'tell me a secret': 1 }, '?'],
  ])('refuses %s: unsupported, by name', (_, change, param) => {
    // A spread would lose an own __proto__.
    const body = Object.defineProperties({ ...base }, Object.getOwnPropertyDescriptors(change));
    expect(refused(body)).toEqual({
      code: 'unsupported_parameter',
      param,
      message: `${param} cannot be honoured.`,
    });
  });

  const long = (length: number) => 'x'.repeat(length + 1);
  it('takes a resumable request, and one that resumes', () => {
    const resume = { jobId: `job_${'a'.repeat(24)}`, ids: [0, 0xff_ffff] };
    const streamed = { ...base, stream: true };
    expect(accepted({ ...streamed, tussah: { resumable: true } })).toMatchObject({ resumable: true });
    expect(accepted({ ...streamed, tussah: { resumable: true, resume } })).toMatchObject({ resume });
    expect(accepted({ ...base, tussah: { resumable: false, resume: null } })).toEqual(accepted(base));
  });

  it.each<[object, string]>([
    [{ tussah: { resumable: true } }, 'tussah.resumable'],
    [{ stream: true, tussah: { resume: { jobId: `job_${'a'.repeat(24)}`, ids: [] } } }, 'tussah.resume'],
    [
      { stream: true, tussah: { resumable: true, resume: { jobId: 'job_x', ids: [] } } },
      'tussah.resume.jobId',
    ],
    [
      { stream: true, tussah: { resumable: true, resume: { jobId: `job_${'a'.repeat(24)}` } } },
      'tussah.resume.ids',
    ],
    [
      { stream: true, tussah: { resumable: true, resume: { jobId: `job_${'a'.repeat(24)}`, ids: [-1] } } },
      'tussah.resume.ids[0]',
    ],
    [
      {
        stream: true,
        tussah: {
          resumable: true,
          resume: {
            jobId: `job_${'a'.repeat(24)}`,
            ids: Array.from({ length: limits.completionTokensMax + 1 }, () => 1),
          },
        },
      },
      'tussah.resume.ids',
    ],
  ])('refuses %j, naming %s', (change, param) => {
    expect(refused({ ...base, ...change })).toMatchObject({ code: 'invalid_request', param });
  });

  it.each<[object, string, string]>([
    [{ model: undefined }, 'model', 'model: expected string.'],
    [{ model: 5 }, 'model', 'model: expected string.'],
    [{ model: '' }, 'model', 'model: expected length >=1.'],
    [{ model: long(limits.modelIdCharacters) }, 'model', 'model: expected length <=128.'],
    [{ messages: [] }, 'messages', 'messages: expected length >=1.'],
    [{ messages: 'Hello' }, 'messages', 'messages: expected Array.'],
    [
      { messages: Array.from({ length: limits.messagesPerRequest + 1 }, () => messages[0]) },
      'messages',
      'messages: expected length <=512.',
    ],
    [{ messages: [{ role: 'user' }] }, 'messages[0].content', 'messages[0].content is missing.'],
    [
      { messages: [{ role: 'tool', content: 'x' }] },
      'messages[0].role',
      'expected ("system" | "developer" | "user" | "assistant").',
    ],
    [{ messages: [{ role: 'user', content: 5 }] }, 'messages[0].content', 'expected (string | Array).'],
    [{ messages: [{ role: 'user', content: null }] }, 'messages[0].content', 'expected (string | Array).'],
    [{ messages: [{ role: 'user', content: [] }] }, 'messages[0].content', 'expected length >=1.'],
    [
      { messages: [{ role: 'user', content: [{ type: 'text', text: 5 }] }] },
      'messages[0].content[0].text',
      'expected string.',
    ],
    [
      { messages: [{ role: 'user', content: long(limits.messageCharacters) }] },
      'messages[0].content',
      'expected length <=524288.',
    ],
    [
      { messages: [{ role: 'user', content: 'a\ud800' }] },
      'messages[0].content',
      'contains a lone surrogate.',
    ],
    [
      { messages: [{ role: 'user', content: [{ type: 'text', text: '\udc00' }] }] },
      'messages[0].content[0].text',
      'lone surrogate.',
    ],
    [{ stop: '\ud800' }, 'stop', 'contains a lone surrogate.'],
    [{ user: '\ud800' }, 'user', 'contains a lone surrogate.'],
    [{ model: '\ud800' }, 'model', 'contains a lone surrogate.'],
    [{ stream: 'yes' }, 'stream', 'expected boolean.'],
    [{ stream_options: {} }, 'stream_options', 'needs stream: true.'],
    [
      { stream: true, stream_options: { include_obfuscation: true } },
      'stream_options.include_obfuscation',
      'expected false.',
    ],
    [{ temperature: 2.1 }, 'temperature', 'expected <=2.'],
    [{ temperature: -0.1 }, 'temperature', 'expected >=0.'],
    [{ temperature: '1' }, 'temperature', 'expected number.'],
    [{ temperature: Number.NaN }, 'temperature', 'expected number.'],
    [{ top_p: 1.1 }, 'top_p', 'expected <=1.'],
    [{ presence_penalty: 2.1 }, 'presence_penalty', 'expected <=2.'],
    [{ frequency_penalty: -2.1 }, 'frequency_penalty', 'expected >=-2.'],
    [{ max_tokens: 0 }, 'max_tokens', 'expected >=1.'],
    [{ max_tokens: 1.5 }, 'max_tokens', 'expected a whole number.'],
    [{ max_completion_tokens: limits.completionTokensMax + 1 }, 'max_completion_tokens', 'expected <=32768.'],
    [
      { max_tokens: 1, max_completion_tokens: 2 },
      'max_tokens',
      'max_tokens and max_completion_tokens differ.',
    ],
    [{ stop: ['a', 'b', 'c', 'd', 'e'] }, 'stop', 'expected length <=4.'],
    [{ stop: ['a', ''] }, 'stop[1]', 'expected length >=1.'],
    [{ stop: ['a', 5] }, 'stop[1]', 'expected string.'],
    [{ stop: long(limits.stopStringCharacters) }, 'stop', 'expected length <=256.'],
    [{ seed: 1.5 }, 'seed', 'expected a whole number.'],
    [{ seed: 2 ** 53 }, 'seed', 'expected a whole number.'],
    [{ logprobs: 1 }, 'logprobs', 'expected boolean.'],
    [{ top_logprobs: 1 }, 'top_logprobs', 'needs logprobs: true.'],
    [{ logprobs: true, top_logprobs: 6 }, 'top_logprobs', 'expected <=5.'],
    [{ user: long(limits.userCharacters) }, 'user', 'expected length <=256.'],
    [{ parallel_tool_calls: 'no' }, 'parallel_tool_calls', 'expected boolean.'],
    [{ tussah: 'private' }, 'tussah', 'expected Object.'],
    [{ tussah: { tier: 'secret' } }, 'tussah.tier', 'expected ("public" | "private").'],
    [{ tussah: { maxPriceNano: 5 } }, 'tussah.maxPriceNano', 'expected string.'],
    [{ tussah: { maxPriceNano: '1.5' } }, 'tussah.maxPriceNano', 'not a decimal number of nanoTON.'],
    [
      { tussah: { maxPriceNano: '9999999999999999999' } },
      'tussah.maxPriceNano',
      'more nanoTON than there is.',
    ],
    [{ tussah: { maxWaitMs: limits.maxWaitMsMax + 1 } }, 'tussah.maxWaitMs', 'expected <=300000.'],
    [{ tussah: { maxTtftMs: 0 } }, 'tussah.maxTtftMs', 'expected >=1.'],
  ])('refuses %j at %s', (change, param, message) => {
    const failure = refused({ ...base, ...change });
    expect(failure).toMatchObject({ code: 'invalid_request', param });
    expect(failure.message).toContain(message);
  });

  it.each([undefined, null, 'text', 5, true])('refuses a body that is %j', (body) => {
    expect(refused(body)).toEqual({
      code: 'invalid_request',
      param: undefined,
      message: 'The body: expected Object.',
    });
  });

  it('says what is missing', () => {
    expect(refused({}).message).toBe('model is missing.');
    expect(refused([]).message).toBe('model is missing.');
    expect(refused({ model: 'tiny' })).toMatchObject({ param: 'messages', message: 'messages is missing.' });
  });

  it('reads nothing from a prototype', () => {
    expect(refused(JSON.parse(`{"__proto__":${JSON.stringify(base)}}`)).message).toBe('model is missing.');
    const body = JSON.parse(
      `{"model":"tiny","messages":[{"role":"user","content":"x","__proto__":{"role":"system"}}]}`,
    );
    expect(refused(body)).toMatchObject({ code: 'unsupported_parameter', param: 'messages[0].__proto__' });
  });

  it('takes any well-formed text as it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (content) => {
        expect(accepted({ ...base, messages: [{ role: 'user', content }] }).messages[0]?.content).toBe(
          content,
        );
      }),
    );
  });

  it('never repeats a prompt in an error, wherever it stands', () => {
    const secret = 'SECRET-4711';
    const paths = [
      'model',
      'messages',
      'stop',
      'seed',
      'tussah',
      'tools',
      'user',
      'role',
      'content',
      'tier',
      'text',
      'type',
    ];
    const leaf = fc.oneof(
      fc.constant(secret),
      fc.constant([secret]),
      fc.constant(`\ud800${secret}`),
      fc.jsonValue(),
    );
    const tree = fc.dictionary(fc.constantFrom(...paths), leaf);
    const body = fc.record(
      {
        model: fc.oneof(fc.constant('tiny'), leaf),
        messages: fc.oneof(
          fc.array(fc.oneof(tree, fc.constant(messages[0]))),
          fc.array(fc.record({ role: leaf, content: fc.oneof(leaf, fc.array(tree)) })),
          leaf,
        ),
        extra: leaf,
        [secret.padEnd(70, ' x')]: leaf,
        stop: leaf,
        tussah: fc.oneof(tree, leaf),
        response_format: fc.oneof(tree, leaf),
        logit_bias: fc.oneof(tree, leaf),
      },
      { requiredKeys: [] },
    );
    let refusals = 0;
    fc.assert(
      fc.property(body, (body) => {
        const result = readChatRequest(body);
        if (result.ok) return;
        refusals += 1;
        expect(JSON.stringify(result.failure)).not.toContain('SECRET');
      }),
      { numRuns: 500 },
    );
    expect(refusals).toBeGreaterThan(300);
  });

  it('survives arbitrary JSON', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (body) => {
        expect(readChatRequest(body).ok).toBe(false);
      }),
    );
  });
});
