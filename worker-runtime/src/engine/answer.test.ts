import { hashOfIds } from '@tussah/protocol/bytes';
import { limits } from '@tussah/protocol/limits';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type AnswerEvent, type AnswerOptions, runAnswer } from './answer.ts';
import { codeOf, jobFor, never } from './contract-tools.ts';
import { FakeEngine, type FakeOptions } from './fake-engine.ts';
import { fakeCodec } from './fake-codec.ts';
import { FakeTimers } from './fake-timers.ts';
import type { EngineBuild, EngineEvent, EnginePort } from './port.ts';
import { fakeProfile } from './profiles.ts';
import { bytesOfIds } from './token-codec.ts';
import { incompleteTail, utf8Text } from './utf8-assembler.ts';

const build: EngineBuild = { id: 'fake', files: [], contextTokens: 4096, webllmId: null };

/** A port that says exactly these tokens. */
function saying(ids: readonly number[], reason: 'eog' | 'length' | 'context' = 'eog', from = 0): EnginePort {
  return {
    profile: fakeProfile,
    lost: new Promise(() => {}),
    load: async () => {},
    unload: async () => {},
    async *generate(): AsyncGenerator<EngineEvent> {
      for (const [i, id] of ids.entries())
        yield {
          type: 'token',
          position: from + i,
          ids: [id],
          bytes: fakeCodec.bytesOf(id),
          logprob: -0.5,
          top: [{ id, logprob: -0.5 }],
        };
      yield { type: 'end', reason };
    },
  };
}

async function answerOf(port: EnginePort, change: Partial<AnswerOptions> = {}): Promise<AnswerEvent[]> {
  const events: AnswerEvent[] = [];
  const job = jobFor(fakeCodec, 'p', { maxTokens: 200 });
  for await (const event of runAnswer({ port, job, codec: fakeCodec, stop: [], signal: never(), ...change }))
    events.push(event);
  return events;
}

const deltasOf = (events: readonly AnswerEvent[]) => events.filter((event) => event.type === 'delta');
const textOf = (events: readonly AnswerEvent[]) =>
  deltasOf(events)
    .map(({ text }) => text)
    .join('');

/** The wire's rule, and that positions and the closing count and hash fit. */
function checkRule(events: readonly AnswerEvent[], from = 0): void {
  const ids: number[] = [];
  for (const delta of deltasOf(events)) {
    const bytes = bytesOfIds(fakeCodec, delta.ids);
    expect(utf8Text(bytes)).toBe(delta.text);
    expect(incompleteTail(bytes)).toBe(0);
    expect(delta.position).toBe(from + ids.length);
    expect(delta.ids.length).toBeGreaterThan(0);
    expect(delta.ids.length).toBeLessThanOrEqual(limits.idsPerDelta);
    expect(delta.text.length).toBeLessThanOrEqual(limits.textPerDelta);
    ids.push(...delta.ids);
  }
  expect(events.at(-1)).toMatchObject({ type: 'end', tokens: ids.length, idsHash: hashOfIds(ids) });
  expect(events.filter(({ type }) => type === 'end').length).toBe(1);
}

describe('an answer', () => {
  test('the text of all deltas is the text of all tokens', async () => {
    const events = await answerOf(saying(fakeCodec.encode('Привет the 🙂 river')));
    checkRule(events);
    expect(textOf(events)).toBe('Привет the 🙂 river');
    expect(events.at(-1)).toMatchObject({ finishReason: 'stop' });
  });

  test.for(['length', 'context'] as const)('the end %s is the finish reason length', async (reason) => {
    expect((await answerOf(saying([65], reason))).at(-1)).toMatchObject({ finishReason: 'length' });
  });

  test('an incomplete character at the very end is dropped', async () => {
    const events = await answerOf(saying([65, 0xf0, 0x9f], 'length'));
    checkRule(events);
    expect(textOf(events)).toBe('A');
  });

  test('the token that a stop string cuts is replaced by the encoding of what is left', async () => {
    const events = await answerOf(saying(fakeCodec.encode('x river stone')), { stop: ['ver'] });
    checkRule(events);
    expect(textOf(events)).toBe('x ri');
    expect(deltasOf(events).flatMap(({ ids }) => ids)).toEqual(fakeCodec.encode('x ri'));
    expect(events.at(-1)).toMatchObject({ finishReason: 'stop' });
  });

  test('the end is said with the last text, and with no other', async () => {
    const deltas = deltasOf(await answerOf(saying(fakeCodec.encode('x river stone')), { stop: ['ver'] }));
    expect(deltas.length).toBeGreaterThan(1);
    expect(deltas.map((delta) => delta.finishReason)).toEqual([
      ...deltas.slice(1).map(() => undefined),
      'stop',
    ]);
  });

  test('a stop string that ends in new text may begin in the prefix', async () => {
    const prefix = { text: 'EN', ids: fakeCodec.encode('EN') };
    const events = await answerOf(saying(fakeCodec.encode('D more'), 'eog', 2), {
      stop: ['END'],
      job: jobFor(fakeCodec, 'p', { prefix }),
    });
    expect(events).toEqual([{ type: 'end', finishReason: 'stop', tokens: 0, idsHash: hashOfIds([]) }]);
  });

  test('what was held back is delivered when the answer ends', async () => {
    expect(textOf(await answerOf(saying(fakeCodec.encode('one EN')), { stop: ['END'] }))).toBe('one EN');
  });

  test('a stop string that is half a surrogate pair leaves no half character', async () => {
    const events = await answerOf(saying(fakeCodec.encode('a🙂b')), { stop: ['\ude42'] });
    checkRule(events);
    expect(textOf(events)).toBe('a');
  });

  test('log probabilities are given for each step, and the bytes are the token’s', async () => {
    const job = jobFor(fakeCodec, 'p', { topLogprobs: 1 });
    const events = await answerOf(saying(fakeCodec.encode('é')), { job });
    expect(deltasOf(events)[0]?.logprobs?.map(({ bytes, logprob }) => [bytes, logprob])).toEqual([
      [[0xc3], -0.5],
      [[0xa9], -0.5],
    ]);
  });

  test('long answers are cut to the wire’s bounds', async () => {
    const timers = new FakeTimers();
    const events = await answerOf(saying(Array.from({ length: 2000 }, () => 0x61)), { timers });
    checkRule(events);
    expect(textOf(events).length).toBe(2000);
  });

  test('an engine error passes through, after what it said before', async () => {
    const port = new FakeEngine({ fault: { kind: 'fail', position: 4 } });
    await port.load(build, () => {}, never());
    expect(await codeOf(answerOf(port))).toBe('engine_failed');
  });

  test('leaving the loop frees the engine', async () => {
    const port = await fake({});
    const job = jobFor(fakeCodec, 'p');
    // oxlint-disable-next-line no-unreachable-loop -- leaving at the first delta is the point
    for await (const event of runAnswer({ port, job, codec: fakeCodec, stop: [], signal: never() })) {
      expect(event.type).toBe('delta');
      break;
    }
    checkRule(await answerOf(port));
  });
});

async function fake(options: FakeOptions, timers?: FakeTimers): Promise<FakeEngine> {
  const port = new FakeEngine(options, timers === undefined ? {} : { timers });
  await port.load(build, () => {}, never());
  return port;
}

describe('batches', () => {
  const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

  /** Runs an answer in simulated time; the times at which deltas came, and how many tokens each had. */
  async function timeline(options: FakeOptions): Promise<[number, number][]> {
    const timers = new FakeTimers();
    const port = await fake(options, timers);
    const job = jobFor(fakeCodec, 'p', { maxTokens: 100 });
    const seen: [number, number][] = [];
    const state = { ended: false };
    const reading = (async () => {
      for await (const event of runAnswer({
        port,
        job,
        codec: fakeCodec,
        stop: [],
        signal: never(),
        timers,
        batchMs: 25,
      }))
        if (event.type === 'delta') seen.push([timers.now(), event.ids.length]);
      state.ended = true;
    })();
    for (let i = 0; i < 5000 && !state.ended; i++) {
      await settle();
      timers.advance(1);
    }
    await reading;
    return seen;
  }

  test('the first token goes at once, then what came in 25 ms together', async () => {
    const seen = await timeline({ tokensPerSecond: 250, reply: 'abcdefghijklmnopqrstuvwxyz0123456789' });
    expect(seen[0]?.[1]).toBe(1);
    for (const [i, [at]] of seen.slice(1, -1).entries())
      expect(at - (seen[i]?.[0] ?? 0)).toBeGreaterThanOrEqual(25);
    expect(seen.length).toBeLessThan(10);
  });

  test('an engine whose tokens are all held back says once a second that it works', async () => {
    const timers = new FakeTimers();
    const port = await fake({ tokensPerSecond: 4, reply: 'abcdefghijkl' }, timers);
    const job = jobFor(fakeCodec, 'p', { maxTokens: 100 });
    const seen: string[] = [];
    const reading = (async () => {
      const stop = ['abcdefghijklm'];
      for await (const event of runAnswer({ port, job, codec: fakeCodec, stop, signal: never(), timers }))
        seen.push(event.type === 'delta' ? event.text : event.type);
    })();
    for (let i = 0; i < 400 && seen.at(-1) !== 'end'; i++) {
      await settle();
      timers.advance(10);
    }
    await reading;
    expect(seen).toEqual(['working', 'working', 'working', 'abcdefghijkl', 'end']);
  });

  test('a slow engine’s tokens are not held back', async () => {
    const seen = await timeline({ tokensPerSecond: 20, reply: 'abcdef' });
    expect(seen.map(([, tokens]) => tokens)).toEqual([1, 1, 1, 1, 1, 1]);
  });
});

test('whatever tokens come and whatever the stop strings: the wire’s rule holds', async () => {
  const piece = fc.oneof(
    fc.integer({ min: 256, max: 269 }).map((id) => [id]),
    fc.integer({ min: 32, max: 126 }).map((id) => [id]),
    fc.constantFrom('é', '🙂', '日', '\ufeff').map((text) => fakeCodec.encode(text)),
    fc.integer({ min: 128, max: 255 }).map((id) => [id]),
  );
  const stop = fc.oneof(
    fc.constantFrom(' r', 'ver', '🙂', 'é', '日', 'ing. ', '\ude42'),
    fc.string({ maxLength: 3 }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 30 }),
      fc.array(stop, { maxLength: 3 }),
      fc.constantFrom('', ' ri', 'e', 'ing'),
      async (pieces, stops, before) => {
        const ids = pieces.flat();
        const prefix = { text: before, ids: fakeCodec.encode(before) };
        const events = await answerOf(saying(ids, 'length', prefix.ids.length), {
          stop: stops,
          job: jobFor(fakeCodec, 'p', { prefix }),
        });
        checkRule(events, prefix.ids.length);
        const all = utf8Text(bytesOfIds(fakeCodec, ids));
        expect(all.startsWith(textOf(events))).toBe(true);
        for (const s of stops)
          if (s !== '' && !before.includes(s)) expect((before + textOf(events)).includes(s)).toBe(false);
      },
    ),
    { numRuns: 500 },
  );
});
