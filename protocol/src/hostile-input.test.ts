/** The readers of foreign JSON: whatever comes, they do not throw, and what they let through is within its bounds. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as v from 'valibot';
import { readChatRequest, type ChatRequest } from './chat-request.ts';
import { ContributorFrameSchema, type ContributorFrame } from './contributor-frames.ts';
import { isErrorCode } from './errors.ts';
import { limits } from './limits.ts';
import { NANO_MAX } from './money.ts';

const runs = process.env['TUSSAH_DEEP'] === '1' ? 100_000 : 3_000;
const TIME_MS = 120_000;
const validJobId = `job_${'0'.repeat(24)}`;

/** Any JSON, with the values at the edges of bounds and the names that mean something to JavaScript among them. */
const json: fc.Arbitrary<unknown> = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(
    -0,
    Infinity,
    -Infinity,
    Number.MIN_VALUE,
    2 ** 53,
    -(2 ** 53),
    2 ** 53 - 1,
    0.5,
    255,
    256,
  ),
  fc.constantFrom<unknown>('', '\ud800', '\udc00x', '\u0000', '__proto__', 'x'.repeat(600), '9'.repeat(19)),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom<unknown>([], [[]], {}, [{}], null, JSON.parse('{"__proto__":{"a":1}}')),
);

type Path = readonly (string | number)[];

const pathsIn = (value: unknown, path: Path = []): Path[] =>
  typeof value !== 'object' || value === null
    ? [path]
    : [path, ...Object.entries(value).flatMap(([name, member]) => pathsIn(member, [...path, name]))];

/** A copy with another value at a path; a name that is new is an own property, `__proto__` too. */
function replaced(value: unknown, [name, ...rest]: Path, by: unknown): unknown {
  if (name === undefined) return by;
  const copy = structuredClone(value) as object;
  const inner = Object.hasOwn(copy, name) ? (copy as Record<string, unknown>)[name] : undefined;
  return Object.defineProperty(copy, name, {
    value: rest.length === 0 ? by : replaced(inner, rest, by),
    enumerable: true,
    configurable: true,
    writable: true,
  });
}

/** A valid value with something else at one or two places, or with a member that it should not have. */
const altered = (valid: object): fc.Arbitrary<unknown> => {
  const place = fc.oneof(
    { weight: 9, arbitrary: fc.constantFrom(...pathsIn(valid)) },
    fc.constantFrom<Path>(['__proto__'], ['constructor'], ['toString'], ['extra'], ['']),
  );
  return fc
    .array(fc.tuple(place, json), { minLength: 1, maxLength: 2 })
    .map((changes) =>
      changes.reduce<unknown>(
        (value, [path, by]) => (pathExists(value, path) ? replaced(value, path, by) : value),
        valid,
      ),
    );
};

/** Whether all but the last name lead to objects: an earlier change may have removed them. */
const pathExists = (value: unknown, path: Path): boolean => {
  let at: unknown = value;
  for (const name of path.slice(0, -1)) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, name)) return false;
    at = (at as Record<string, unknown>)[name];
  }
  return path.length === 0 || (typeof at === 'object' && at !== null);
};

const validRequest = {
  model: 'tiny',
  messages: [
    { role: 'user', content: [{ type: 'text', text: 'Hello' }] },
    { role: 'assistant', content: 'Hi', refusal: null, tool_calls: [] },
  ],
  stream: true,
  stream_options: { include_usage: true },
  temperature: 1,
  top_p: 1,
  max_tokens: 5,
  stop: ['end'],
  seed: 1,
  presence_penalty: 0,
  frequency_penalty: 0,
  logprobs: true,
  top_logprobs: 1,
  user: 'somebody',
  n: 1,
  tussah: {
    tier: 'public',
    maxPriceNano: '5',
    maxTtftMs: 5,
    minTokensPerSecond: 5,
    maxWaitMs: 5,
    resumable: true,
    resume: { jobId: validJobId, ids: [1, 2] },
  },
};

const within = (value: number | undefined | null, min: number, max: number): void => {
  if (value === undefined || value === null) return;
  expect(value).toBeGreaterThanOrEqual(min);
  expect(value).toBeLessThanOrEqual(max);
};
const whole = (value: number | undefined | null, min: number, max: number): void => {
  within(value, min, max);
  if (value !== undefined && value !== null) expect(Number.isSafeInteger(value)).toBe(true);
};
const text = (value: string | undefined, min: number, max: number): void => {
  if (value === undefined) return;
  within(value.length, min, max);
  expect(value.isWellFormed()).toBe(true);
};

function expectBounded(request: ChatRequest): void {
  text(request.model, 1, limits.modelIdCharacters);
  within(request.messages.length, 1, limits.messagesPerRequest);
  for (const { role, content } of request.messages) {
    expect(['system', 'user', 'assistant']).toContain(role);
    text(content, 0, limits.messageCharacters * limits.messagesPerRequest);
  }
  within(request.sampling.temperature, 0, 2);
  within(request.sampling.topP, 0, 1);
  within(request.sampling.presencePenalty, -2, 2);
  within(request.sampling.frequencyPenalty, -2, 2);
  whole(request.maxTokens, 1, limits.completionTokensMax);
  within(request.stop.length, 0, limits.stopStrings);
  for (const stop of request.stop) text(stop, 1, limits.stopStringCharacters);
  whole(request.seed, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
  whole(request.topLogprobs, 0, limits.topLogprobs);
  text(request.user, 0, limits.userCharacters);
  expect((request.maxPriceNano ?? 0n) >= 0n && (request.maxPriceNano ?? 0n) <= NANO_MAX).toBe(true);
  whole(request.maxTtftMs, 1, 600_000);
  within(request.minTokensPerSecond, 0, 100_000);
  whole(request.maxWaitMs, 0, limits.maxWaitMsMax);
  expect(request.resume?.jobId ?? validJobId).toMatch(/^job_[0-9a-z]{24}$/);
  within(request.resume?.ids.length, 0, limits.completionTokensMax);
  for (const id of request.resume?.ids ?? []) whole(id, 0, 0xff_ffff);
}

describe('readChatRequest', () => {
  it(
    'takes nothing out of bounds and throws for nothing',
    () => {
      let accepted = 0;
      let refused = 0;
      fc.assert(
        fc.property(fc.oneof({ weight: 9, arbitrary: altered(validRequest) }, json), (body) => {
          const result = readChatRequest(body);
          if (result.ok) {
            accepted += 1;
            expectBounded(result.value);
            return;
          }
          refused += 1;
          const { code, message, remedy, param } = result.failure;
          expect(isErrorCode(code) && code !== 'internal').toBe(true);
          within(message.length, 10, 400);
          within(remedy.length, 10, 400);
          within(param?.length, 1, 120);
        }),
        { numRuns: runs },
      );
      expect(Math.min(accepted, refused)).toBeGreaterThan(runs / 50);
    },
    TIME_MS,
  );
});

const hex = (digits: number) => 'ab'.repeat(digits / 2);
const validFrames: readonly ContributorFrame[] = [
  {
    type: 'hello',
    protocol: 'tussah.v1',
    publicKey: hex(64),
    signature: hex(128),
    wallet: 'A'.repeat(48),
    agent: 'tussah-web/0.1.0',
    resume: `sess_${'0'.repeat(24)}`,
  },
  {
    type: 'model-ready',
    model: 'tiny',
    build: 'tiny@1',
    profile: { engine: 'webllm', version: '0.2.86', prefix: 'text', seedBlock: 16, replay: 'same-device' },
    tokensPerSecond: 20.5,
    ask: { promptNanoPerMillion: '1', completionNanoPerMillion: '2' },
  },
  { type: 'job-accept', jobId: validJobId },
  { type: 'job-decline', jobId: validJobId, reason: 'busy' },
  {
    type: 'text-delta',
    jobId: validJobId,
    position: 0,
    ids: [1, 2],
    text: 'hi',
    logprobs: [{ token: 'a', logprob: -0.5, bytes: [97], top_logprobs: [] }],
  },
  {
    type: 'job-done',
    jobId: validJobId,
    finishReason: 'stop',
    tokens: 2,
    idsHash: hex(64),
    signature: hex(128),
  },
  { type: 'job-failed', jobId: validJobId, code: 'gpu_lost', message: 'The GPU was lost.' },
  { type: 'status', state: 'paused' },
  { type: 'pong', n: 3 },
];

/** Every number finite, every text well formed, nothing longer than a frame may be. */
function expectPlain(value: unknown): void {
  if (typeof value === 'number') expect(Number.isFinite(value)).toBe(true);
  else if (typeof value === 'string') text(value, 0, limits.textPerDelta);
  else if (Array.isArray(value)) {
    within(value.length, 0, limits.idsPerDelta);
    value.forEach(expectPlain);
  } else if (typeof value === 'object' && value !== null) {
    expect(Object.getPrototypeOf(value)).toBe(Object.prototype);
    Object.values(value).forEach(expectPlain);
  }
}

function expectFrameBounded(frame: ContributorFrame): void {
  expectPlain(frame);
  if (frame.type === 'text-delta') {
    within(frame.ids.length, 1, limits.idsPerDelta);
    for (const id of frame.ids) whole(id, 0, 0xff_ffff);
    whole(frame.position, 0, Number.MAX_SAFE_INTEGER);
  } else if (frame.type === 'job-done') whole(frame.tokens, 0, Number.MAX_SAFE_INTEGER);
  else if (frame.type === 'pong') whole(frame.n, 0, Number.MAX_SAFE_INTEGER);
  else if (frame.type === 'model-ready') {
    within(frame.tokensPerSecond, 0, 100_000);
    whole(frame.profile.seedBlock, 1, 256);
  }
}

describe('ContributorFrameSchema', () => {
  it.each(validFrames.map((frame) => [frame.type, frame] as const))(
    'takes no %s out of bounds and throws for nothing',
    (_, frame) => {
      let refused = 0;
      fc.assert(
        fc.property(altered(frame), (value) => {
          const parsed = v.safeParse(ContributorFrameSchema, value, { abortEarly: true });
          if (parsed.success) expectFrameBounded(parsed.output);
          else refused += 1;
        }),
        { numRuns: runs / 5 },
      );
      expect(refused).toBeGreaterThan(runs / 100);
    },
    TIME_MS,
  );

  it('takes no half of a surrogate pair as the token of a log probability', () => {
    const [delta] = validFrames.filter((frame) => frame.type === 'text-delta');
    const accepts = (token: string) =>
      v.is(ContributorFrameSchema, replaced(delta, ['logprobs', 0, 'token'], token));
    expect([accepts('a'), accepts('\ud800')]).toEqual([true, false]);
  });
});
