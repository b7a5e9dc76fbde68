import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { ContributorFrameSchema, CoordinatorFrameSchema } from './contributor-frames.ts';
import { limits } from './limits.ts';

const hex = (digits: number) => 'ab'.repeat(digits / 2);
const jobId = `job_${'0'.repeat(24)}`;
const sessionId = `sess_${'0'.repeat(24)}`;
const price = { promptNanoPerMillion: '1', completionNanoPerMillion: '2' };
const profile = { engine: 'webllm', version: '0.2.86', prefix: 'text', seedBlock: 16, replay: 'same-device' };
const logprob = { token: 'a', logprob: -0.5, bytes: [97], top_logprobs: [] };
const sampling = { temperature: 1, topP: 1, presencePenalty: 0, frequencyPenalty: 0 };

type Frame = Record<string, unknown> & { readonly type: string };

const fromContributor: Frame[] = [
  {
    type: 'hello',
    protocol: 'tussah.v1',
    publicKey: hex(64),
    signature: hex(128),
    wallet: null,
    agent: 'tussah-web/0.1.0',
    resume: sessionId,
  },
  { type: 'model-ready', model: 'tiny', build: 'tiny@1', profile, tokensPerSecond: 20.5, ask: price },
  { type: 'job-accept', jobId },
  { type: 'job-decline', jobId, reason: 'busy' },
  { type: 'text-delta', jobId, position: 0, ids: [1, 2], text: 'hi', logprobs: [logprob] },
  { type: 'job-done', jobId, finishReason: 'stop', tokens: 2, idsHash: hex(64), signature: hex(128) },
  { type: 'job-failed', jobId, code: 'gpu_lost', message: 'The GPU was lost.' },
  { type: 'status', state: 'paused' },
  { type: 'pong', n: 3 },
];

const fromCoordinator: Frame[] = [
  { type: 'challenge', protocol: 'tussah.v1', coordinator: hex(64), nonce: hex(64) },
  {
    type: 'welcome',
    sessionId,
    heartbeatMs: 15_000,
    earnedNano: '0',
    networkFeeBasisPoints: 500,
    resumed: [{ jobId, position: 5 }],
  },
  {
    type: 'job-offer',
    jobId,
    model: 'tiny',
    build: 'tiny@1',
    prompt: { text: 'hi', ids: [1] },
    prefix: { text: '', ids: [] },
    sampling,
    maxTokens: 5,
    stop: ['\n'],
    seedRoot: 'root',
    topLogprobs: null,
    price,
  },
  { type: 'job-cancel', jobId, reason: 'gone' },
  {
    type: 'job-settled',
    jobId,
    receiptId: `rcp_${'0'.repeat(24)}`,
    tokens: 1,
    payNano: '1',
    earnedNano: '2',
  },
  { type: 'ping', n: 0 },
  { type: 'drain', reason: 'update', reconnectAfterMs: 1_000 },
  { type: 'refused', code: 'too_fast', message: 'Too fast.', remedy: 'Slow down.', retry: true },
];

const all = [
  ...fromContributor.map((frame) => [frame.type, ContributorFrameSchema, frame] as const),
  ...fromCoordinator.map((frame) => [frame.type, CoordinatorFrameSchema, frame] as const),
];
const frameOf = (type: string) => {
  const found = all.find(([name]) => name === type);
  if (found === undefined) throw new Error(`there is no frame ${type}`);
  return found;
};

/** Reads as a socket does, from text. */
const accepts = (schema: (typeof all)[number][1], frame: unknown) =>
  v.is(schema, JSON.parse(typeof frame === 'string' ? frame : JSON.stringify(frame)));

describe('every frame', () => {
  it('is in this table', () => {
    const types = [ContributorFrameSchema, CoordinatorFrameSchema].flatMap((schema) =>
      schema.options.map((option) => option.entries.type.literal),
    );
    expect(all.map(([type]) => type).sort()).toEqual(types.toSorted());
  });

  it.each(all)('%s is accepted, from its side only', (_, schema, frame) => {
    expect(accepts(schema, frame)).toBe(true);
    const otherSide = schema === ContributorFrameSchema ? CoordinatorFrameSchema : ContributorFrameSchema;
    expect(v.is(otherSide, frame)).toBe(false);
  });

  it.each(all)('%s is refused with an unknown member, whatever its name', (_, schema, frame) => {
    const text = JSON.stringify(frame);
    for (const name of ['extra', '__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', ''])
      expect(accepts(schema, text.replace('{', `{${JSON.stringify(name)}:{"polluted":true},`)), name).toBe(
        false,
      );
    expect('polluted' in {}).toBe(false);
  });

  it.each(all)('%s is refused without any one of its members, logprobs excepted', (_, schema, frame) => {
    for (const name of Object.keys(frame)) {
      const { [name]: _, ...rest } = frame;
      expect(accepts(schema, rest), name).toBe(name === 'logprobs');
    }
  });

  it.each(all)('%s is refused with a value of another type in any member', (_, schema, frame) => {
    for (const name of Object.keys(frame))
      for (const wrong of [true, [[]], { a: 1 }, '\u0000wrong', -1, 0.5]) {
        // Free text and real numbers take what they are for.
        if (typeof wrong === typeof frame[name] && !['number', 'object'].includes(typeof wrong)) continue;
        if (name === 'tokensPerSecond' && wrong === 0.5) continue;
        expect(accepts(schema, { ...frame, [name]: wrong }), `${name} = ${JSON.stringify(wrong)}`).toBe(
          false,
        );
      }
  });

  it.each([
    null,
    1,
    '"text"',
    [],
    {},
    { type: null },
    { type: ['pong'] },
    { type: '__proto__' },
    { type: 'constructor' },
  ])('is not %j', (frame) => {
    expect(accepts(ContributorFrameSchema, frame)).toBe(false);
    expect(accepts(CoordinatorFrameSchema, frame)).toBe(false);
  });

  it('is never made of arbitrary JSON, which never throws', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(v.is(ContributorFrameSchema, value)).toBe(false);
      }),
    );
  });
});

describe('bounds of frames', () => {
  const repeated = <Item>(item: Item, times: number) => Array.from({ length: times }, () => item);
  const ids = (count: number) => repeated(1, count);
  it.each<[string, string, unknown, boolean]>([
    ['text-delta', 'ids', [], false],
    ['text-delta', 'ids', ids(limits.idsPerDelta), true],
    ['text-delta', 'ids', ids(limits.idsPerDelta + 1), false],
    ['text-delta', 'ids', [-1], false],
    ['text-delta', 'ids', [1.5], false],
    ['text-delta', 'ids', [0xff_ffff], true],
    ['text-delta', 'ids', [0x100_0000], false],
    ['text-delta', 'ids', ['1'], false],
    ['text-delta', 'ids', [null], false],
    ['text-delta', 'text', '', true],
    ['text-delta', 'text', 'x'.repeat(limits.textPerDelta), true],
    ['text-delta', 'text', 'x'.repeat(limits.textPerDelta + 1), false],
    ['text-delta', 'text', '\u{1f600}', true],
    ['text-delta', 'text', '\ud83d', false],
    ['text-delta', 'position', Number.MAX_SAFE_INTEGER, true],
    ['text-delta', 'position', 2 ** 53, false],
    ['text-delta', 'position', -1, false],
    ['text-delta', 'logprobs', repeated(logprob, limits.idsPerDelta + 1), false],
    ['text-delta', 'logprobs', [{ ...logprob, bytes: [256] }], false],
    ['text-delta', 'logprobs', [{ ...logprob, bytes: null }], true],
    [
      'text-delta',
      'logprobs',
      [{ ...logprob, top_logprobs: repeated(logprob, limits.topLogprobs + 1) }],
      false,
    ],
    ['text-delta', 'logprobs', [{ ...logprob, extra: 1 }], false],
    ['job-done', 'tokens', 1.5, false],
    ['job-done', 'finishReason', 'cancelled', false],
    ['job-done', 'idsHash', hex(64).toUpperCase(), false],
    ['job-failed', 'message', 'x'.repeat(limits.reasonCharacters), true],
    ['job-failed', 'message', 'x'.repeat(limits.reasonCharacters + 1), false],
    ['job-failed', 'message', '\udc00', false],
    ['job-accept', 'jobId', `rcp_${'0'.repeat(24)}`, false],
    ['hello', 'protocol', 'tussah.v2', false],
    ['hello', 'wallet', 'E'.repeat(48), true],
    ['hello', 'wallet', 'E'.repeat(49), false],
    ['hello', 'wallet', `0:${'0'.repeat(64)}`, false],
    ['hello', 'agent', 'x'.repeat(65), false],
    ['hello', 'resume', null, true],
    ['model-ready', 'tokensPerSecond', 0, true],
    ['model-ready', 'tokensPerSecond', 100_001, false],
    ['model-ready', 'model', '', false],
    ['model-ready', 'build', 'x'.repeat(limits.buildIdCharacters + 1), false],
    ['model-ready', 'ask', null, true],
    ['model-ready', 'ask', { ...price, promptNanoPerMillion: '-1' }, false],
    ['model-ready', 'ask', { ...price, promptNanoPerMillion: '1.5' }, false],
    ['model-ready', 'ask', { ...price, discount: '1' }, false],
    ['model-ready', 'profile', { ...profile, version: '' }, false],
    ['model-ready', 'profile', { ...profile, version: '\ud800' }, false],
    ['model-ready', 'profile', { ...profile, version: 'x'.repeat(33) }, false],
    ['model-ready', 'profile', { ...profile, engine: 'other' }, false],
    ['model-ready', 'profile', { ...profile, seedBlock: 0 }, false],
    ['model-ready', 'profile', { ...profile, seedBlock: 257 }, false],
    ['status', 'state', 'asleep', false],
    ['welcome', 'networkFeeBasisPoints', 10_001, false],
    ['job-offer', 'maxTokens', 0, false],
    ['job-offer', 'maxTokens', limits.completionTokensMax + 1, false],
    ['job-offer', 'stop', ['a', 'b', 'c', 'd', 'e'], false],
    ['job-offer', 'sampling', { ...sampling, temperature: 2.1 }, false],
    ['job-offer', 'topLogprobs', limits.topLogprobs + 1, false],
  ])('%s with %s %j: accepted %s', (type, member, value, accepted) => {
    const [, schema, frame] = frameOf(type);
    expect(accepts(schema, { ...frame, [member]: value })).toBe(accepted);
  });

  it('know no number that is not one', () => {
    const [, schema, frame] = frameOf('model-ready');
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      expect(v.is(schema, { ...frame, tokensPerSecond: bad })).toBe(false);
    const [, deltas, delta] = frameOf('text-delta');
    // JSON has no infinity, but a number too large for a double is read as one.
    expect(accepts(deltas, JSON.stringify(delta).replace('-0.5', '-1e999'))).toBe(false);
    expect(accepts(deltas, JSON.stringify(delta).replace('"position":0', '"position":1e999'))).toBe(false);
  });
});
