import { errorBody, failure } from '@tussah/protocol/errors';
import { describe, expect, it } from 'vitest';
import { measure, type Answer, type AnswerEvent } from './answer.ts';
import type { Question } from './ask.ts';
import type { Machine, Proof } from '../private/proof.ts';
import { messagesOf, partsWith, restored, saved, type Turn } from './conversation.ts';
import { ChatSession, type Asking } from './session.ts';

const asPublic: Asking = { model: 'm', tier: 'public', apiKey: null };
const asPrivate: Asking = { ...asPublic, tier: 'private' };

/** A chunk of one token, or of the end. */
const chunk = (text: string, position = 0, finish: string | null = null, more: object = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'tussah-tiny',
  system_fingerprint: 'fp',
  choices: [{ index: 0, delta: text === '' ? {} : { content: text }, finish_reason: finish }],
  ...(text === '' ? {} : { tussah: { jobId: 'job_000000000000000000000001', position, ids: [7] } }),
  ...more,
});
const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 };
const line = (value: unknown) => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`;
const whole = [
  line(chunk('Hel')),
  line(chunk('lo', 1)),
  line(chunk('', 2, 'stop', { usage })),
  line('[DONE]'),
];

interface Sent {
  readonly body: {
    readonly model: string;
    readonly messages: readonly unknown[];
    readonly tussah: { readonly resume?: unknown };
  };
  readonly headers: Headers;
}

/** A chat whose coordinator plays a script: each element answers one request. */
function scripted(
  script: readonly ((signal: AbortSignal) => Response | Promise<Response>)[],
  privately: readonly AnswerEvent[] = privateAnswer,
) {
  const sent: Sent[] = [];
  const sealed: Question[] = [];
  const cancelled: unknown[] = [];
  const ends: Answer[] = [];
  const changes: (readonly Turn[])[] = [];
  const frames: (() => void)[] = [];
  let clock = 0;
  const session = new ChatSession({
    fetch: async (url, init) => {
      if (url.endsWith('/cancel')) {
        cancelled.push(JSON.parse(init.body as string));
        return new Response(null, { status: 202 });
      }
      const answer = script[sent.length];
      sent.push({
        body: JSON.parse(init.body as string) as Sent['body'],
        headers: new Headers(init.headers),
      });
      if (answer === undefined) throw new TypeError('Failed to fetch');
      return answer(init.signal as AbortSignal);
    },
    async *askPrivately(question) {
      sealed.push(question);
      yield* privately;
    },
    now: () => (clock += 10),
    nextFrame: (callback) => frames.push(callback),
    onChange: (turns) => changes.push(turns),
    onEnd: (answer) => ends.push(answer),
    reconnecting: { baseMs: 1, capMs: 2, totalMs: 20 },
  });
  const last = () => changes.at(-1)?.at(-1)?.answer;
  const frame = () => frames.splice(0).forEach((callback) => callback());
  return { session, sent, sealed, cancelled, ends, changes, frames, frame, last };
}

const machine: Machine = {
  bundle: 'ab'.repeat(32),
  identity: 'cd'.repeat(32),
  hardware: 'Intel TDX',
  gpus: [],
  image: 'node-1',
  price: { promptNanoPerMillion: '1', completionNanoPerMillion: '2' },
  simulated: false,
  policy: 'p',
  verifiedAtMs: 1,
  joinedAtMs: 1,
  notAfterMs: 2,
  stepsPassed: 90,
};
const proof: Proof = { receipt: null, expected: { model: 'm' }, failure: null };
const privateAnswer: readonly AnswerEvent[] = [
  { type: 'assigned', machine },
  { type: 'text-delta', text: 'Sealed', atMs: 1 },
  { type: 'finished', finishReason: 'stop', usage, jobId: 'job_1', receipt: null, proof },
];

const stream =
  (parts: readonly string[], after: 'close' | 'hang' | 'break' = 'close') =>
  (signal: AbortSignal) =>
    new Response(
      new ReadableStream(
        {
          start(controller) {
            for (const part of parts) controller.enqueue(new TextEncoder().encode(part));
            if (after === 'close') controller.close();
            signal.addEventListener('abort', () => controller.error(signal.reason));
          },
          // All parts were read.
          pull(controller) {
            if (after === 'break') controller.error(new TypeError('network error'));
          },
        },
        new CountQueuingStrategy({ highWaterMark: 0 }),
      ),
      { headers: { 'content-type': 'text/event-stream; charset=utf-8' } },
    );

const turnsOfTheLoop = async () => {
  await new Promise((resolve) => setTimeout(resolve, 5));
};

describe('ChatSession', () => {
  it('streams an answer to its end', async () => {
    const chat = scripted([stream(whole)]);
    await chat.session.ask('Hi', { ...asPublic, model: 'tussah-tiny' });
    expect(chat.last()).toMatchObject({ phase: 'done', text: 'Hello', finishReason: 'stop', usage });
    expect(chat.ends).toHaveLength(1);
    expect(chat.sent[0]?.body).toMatchObject({
      model: 'tussah-tiny',
      messages: [{ role: 'user', content: 'Hi' }],
      stream: true,
    });
    expect(chat.sent[0]?.headers.has('authorization')).toBe(false);
  });

  it('sends the API key where there is one', async () => {
    const chat = scripted([stream(whole)]);
    await chat.session.ask('Hi', { ...asPublic, apiKey: 'tsk_1' });
    expect(chat.sent[0]?.headers.get('authorization')).toBe('Bearer tsk_1');
  });

  it('changes at most once a frame', async () => {
    const many = Array.from({ length: 50 }, (_, i) => line(chunk('a', i)));
    const chat = scripted([stream(many, 'hang')]);
    const done = chat.session.ask('Hi', asPublic);
    await turnsOfTheLoop();
    expect(chat.changes).toHaveLength(1);
    expect(chat.frames).toHaveLength(1);
    chat.frame();
    expect(chat.changes).toHaveLength(2);
    expect(chat.last()).toMatchObject({ phase: 'streaming', text: 'a'.repeat(50) });
    chat.session.stop();
    await done;
  });

  it('keeps what came when stopped', async () => {
    const chat = scripted([stream(whole.slice(0, 1), 'hang')]);
    const done = chat.session.ask('Hi', asPublic);
    await turnsOfTheLoop();
    chat.session.stop();
    await done;
    expect(chat.last()).toMatchObject({ phase: 'stopped', text: 'Hel' });
  });

  it('stops before anything came', async () => {
    const never = (signal: AbortSignal) =>
      new Promise<Response>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    const chat = scripted([never]);
    const done = chat.session.ask('Hi', asPublic);
    chat.session.stop();
    await done;
    expect(chat.last()).toMatchObject({ phase: 'stopped', text: '' });
  });

  it('shows a refusal with its remedy and the seconds to wait', async () => {
    const body = JSON.stringify(errorBody(failure('rate_limited')));
    const chat = scripted([() => new Response(body, { status: 429, headers: { 'retry-after': '7' } })]);
    await chat.session.ask('Hi', asPublic);
    expect(chat.last()).toMatchObject({
      phase: 'failed',
      failure: { ...failure('rate_limited'), retryAfterSeconds: 7 },
    });
  });

  it('shows an error in the middle of the stream beside the text before it', async () => {
    const broken = line(errorBody(failure('contributor_failed')));
    const chat = scripted([stream([whole[0] ?? '', broken, line(chunk('more', 1))])]);
    await chat.session.ask('Hi', asPublic);
    expect(chat.last()).toMatchObject({
      phase: 'failed',
      text: 'Hel',
      failure: { code: 'contributor_failed', remedy: failure('contributor_failed').remedy },
    });
  });

  it.each([
    ['an unreachable coordinator', [], 'unreachable'],
    ['an answer cut off', [stream(whole.slice(0, 1))], 'stream_cut'],
    ['a connection broken', [stream(whole.slice(0, 1), 'break')], 'stream_cut'],
    ['chunks of another shape', [stream([line({ hello: 1 })])], 'unreadable_answer'],
    ['what is not JSON', [stream([line('{')])], 'unreadable_answer'],
    ['a page instead of a stream', [() => new Response('<html>')], 'unreadable_answer'],
    ["a proxy's error page", [() => new Response('<html>', { status: 500 })], 'internal'],
  ])('fails on %s', async (_, script, code) => {
    const chat = scripted(script);
    await chat.session.ask('Hi', asPublic);
    expect(chat.last()).toMatchObject({ phase: 'failed', failure: { code } });
  });

  it('shows nothing of a connection that broke and came back but the rest of the answer', async () => {
    const chat = scripted([stream(whole.slice(0, 1), 'break'), stream(whole.slice(1))]);
    await chat.session.ask('Hi', asPublic);
    expect(chat.last()).toMatchObject({ phase: 'done', text: 'Hello' });
    expect(chat.sent[1]?.body.tussah.resume).toEqual({ jobId: 'job_000000000000000000000001', ids: [7] });
  });

  it('sends the earlier turns, without those that were never answered', async () => {
    const chat = scripted([stream(whole), () => new Response('', { status: 500 }), stream(whole)]);
    await chat.session.ask('one', asPublic);
    await chat.session.ask('two', asPublic);
    await chat.session.ask('three', asPublic);
    expect(chat.sent[2]?.body.messages).toEqual([
      { role: 'user', content: 'one' },
      { role: 'assistant', content: 'Hello' },
      { role: 'user', content: 'three' },
    ]);
  });

  it('replaces the last answer when asked again, with another model too', async () => {
    const chat = scripted([stream(whole), stream(whole)]);
    await chat.session.ask('one', asPublic);
    await chat.session.askAgain({ ...asPublic, model: 'other' });
    expect(chat.changes.at(-1)).toHaveLength(1);
    expect(chat.sent[1]?.body).toMatchObject({
      model: 'other',
      messages: [{ role: 'user', content: 'one' }],
    });
  });

  it('leaves the earlier turns out from a fresh turn on', async () => {
    const chat = scripted([stream(whole), stream(whole), stream(whole), stream(whole)]);
    await chat.session.ask('one', asPublic);
    await chat.session.ask('two', asPublic);
    await chat.session.askAgain(asPublic, true);
    await chat.session.ask('three', asPublic);
    expect(chat.sent[2]?.body.messages).toEqual([{ role: 'user', content: 'two' }]);
    expect(chat.sent[3]?.body.messages).toHaveLength(3);
  });

  it('runs one answer at a time', async () => {
    const chat = scripted([stream(whole, 'hang'), stream(whole)]);
    const first = chat.session.ask('one', asPublic);
    await chat.session.ask('two', asPublic);
    chat.session.stop();
    await first;
    expect(chat.sent).toHaveLength(1);
    // Stopped where it is made, too.
    const idempotencyKey = chat.sent[0]?.headers.get('idempotency-key');
    expect(chat.cancelled).toEqual([{ idempotencyKey }]);
  });

  it('forgets a running answer when cleared, and can ask at once', async () => {
    const chat = scripted([stream(whole.slice(0, 1), 'hang'), stream(whole)]);
    const first = chat.session.ask('one', asPublic);
    await turnsOfTheLoop();
    chat.session.clear();
    expect(chat.changes.at(-1)).toEqual([]);
    await chat.session.ask('two', asPublic);
    await first;
    expect(chat.changes.at(-1)).toMatchObject([{ question: 'two', answer: { phase: 'done' } }]);
    expect(chat.ends).toHaveLength(1);
  });
});

describe('a conversation in two tiers', () => {
  const later = { role: 'user', content: 'later' };

  it('asks in private through the desk alone, and keeps the machine and the proof', async () => {
    const chat = scripted([]);
    await chat.session.ask('secret', asPrivate);
    expect(chat.sent).toEqual([]);
    expect(chat.sealed).toEqual([{ model: 'm', messages: [{ role: 'user', content: 'secret' }] }]);
    expect(chat.last()).toMatchObject({ phase: 'done', text: 'Sealed', machines: [machine], proof });
    expect(chat.changes.at(-1)).toMatchObject([{ tier: 'private' }]);
  });

  it('sends nothing private with a public question, and says where it begins anew', async () => {
    const chat = scripted([stream(whole), stream(whole), stream(whole)]);
    await chat.session.ask('open', asPublic);
    await chat.session.ask('secret', asPrivate);
    await chat.session.ask('later', asPublic);
    await chat.session.ask('last', asPublic);
    expect(chat.sent[1]?.body.messages).toEqual([later]);
    expect(chat.changes.at(-1)?.map(({ fresh }) => fresh)).toEqual([false, false, true, false]);
    expect(JSON.stringify(chat.sent)).not.toMatch(/secret|Sealed/);
    // What is public already may be read by a verified machine, too.
    expect(chat.sealed[0]?.messages[0]).toEqual({ role: 'user', content: 'open' });
  });

  it('never asks a private question again in public', async () => {
    const chat = scripted([stream(whole)]);
    await chat.session.ask('secret', asPrivate);
    await chat.session.askAgain(asPublic);
    expect(chat.sent).toEqual([]);
    expect(chat.changes.at(-1)).toMatchObject([{ tier: 'private', answer: { text: 'Sealed' } }]);
    await chat.session.askAgain(asPrivate);
    expect(chat.sealed).toHaveLength(2);
  });

  it('leaves private turns out when a public question behind them is asked again', async () => {
    const chat = scripted([stream(whole), stream(whole)]);
    await chat.session.ask('secret', asPrivate);
    await chat.session.ask('later', asPublic);
    await chat.session.askAgain(asPublic);
    expect(chat.sent[1]?.body.messages).toEqual([later]);
  });

  it('may ask a public question again in private', async () => {
    const chat = scripted([stream(whole)]);
    await chat.session.ask('open', asPublic);
    await chat.session.askAgain(asPrivate);
    expect(chat.changes.at(-1)).toMatchObject([{ question: 'open', tier: 'private' }]);
  });

  it('keeps a private answer that broke off as failed, and asks nobody else', async () => {
    const failed = { type: 'failed', failure: failure('node_lost') } as const;
    const chat = scripted([stream(whole)], [...privateAnswer.slice(0, 2), failed]);
    await chat.session.ask('secret', asPrivate);
    expect(chat.last()).toMatchObject({ phase: 'failed', text: 'Sealed', failure: { code: 'node_lost' } });
    expect(chat.sent).toEqual([]);
  });

  it('keeps private turns out of a public message whatever a kept conversation says of them', () => {
    const timing = { askedAtMs: 0, firstAtMs: null, lastAtMs: null };
    const answer: Answer = { phase: 'stopped', text: 'a', timing, jobId: null, machines: [] };
    const turn = (question: string, tier: Turn['tier']): Turn => ({
      id: 1,
      question,
      model: 'm',
      tier,
      fresh: false,
      answer,
    });
    const turns = [turn('secret', 'private'), turn('open', 'public'), turn('later', 'public')];
    expect(JSON.stringify(messagesOf(turns))).not.toContain('secret');
    expect(partsWith(turns.slice(0, 1), 'public')).toBe(true);
    expect(partsWith(turns, 'public')).toBe(false);
    expect(partsWith(turns.slice(0, 1), 'private')).toBe(false);
  });
});

describe('a saved conversation', () => {
  const timing = { askedAtMs: 0, firstAtMs: null, lastAtMs: null };
  const turn = (answer: Answer): Turn => ({
    id: 1,
    question: 'q',
    model: 'm',
    tier: 'private',
    fresh: false,
    answer,
  });

  it('comes back as it was', () => {
    const turns = [
      turn({
        phase: 'done',
        text: 'a',
        timing,
        jobId: null,
        finishReason: 'stop',
        usage: null,
        receipt: null,
        machines: [machine],
        proof,
      }),
      turn({ phase: 'failed', text: '', timing, jobId: null, machines: [], failure: failure('queue_full') }),
    ];
    expect(restored(saved(turns))).toEqual(turns);
  });

  it('shows an answer that was streaming as stopped', () => {
    expect(
      restored(saved([turn({ phase: 'streaming', text: 'a', timing, jobId: null, machines: [] })])),
    ).toMatchObject([{ answer: { phase: 'stopped', text: 'a' } }]);
  });

  it.each([null, '', '{', '[]', '{"version":1,"turns":[]}', '{"version":2,"turns":[{"id":1}]}'])(
    'is empty where it is unreadable: %s',
    (text) => {
      expect(restored(text)).toEqual([]);
    },
  );

  it('sends the last question alone when nothing came before', () => {
    expect(messagesOf([turn({ phase: 'waiting', text: '', timing, jobId: null, machines: [] })])).toEqual([
      { role: 'user', content: 'q' },
    ]);
  });
});

describe('measure', () => {
  it('gives the wait for the first text and the speed after it', () => {
    expect(measure({ askedAtMs: 0, firstAtMs: 400, lastAtMs: 1400 }, 21)).toEqual({
      firstTextMs: 400,
      tokensPerSecond: 20,
    });
  });
  it.each([
    ['too few tokens', { askedAtMs: 0, firstAtMs: 10, lastAtMs: 2000 }, 7],
    ['two batches in a blink', { askedAtMs: 0, firstAtMs: 10, lastAtMs: 80 }, 32],
    ['one chunk', { askedAtMs: 0, firstAtMs: 10, lastAtMs: 10 }, 40],
  ])('gives no speed for %s', (_, timing, tokens) => {
    expect(measure(timing, tokens).tokensPerSecond).toBeNull();
  });
});
