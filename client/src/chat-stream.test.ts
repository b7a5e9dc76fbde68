import { failure } from '@tussah/protocol/errors';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { streamChat, type ChatOptions, type Question } from './chat-stream.ts';
import type { ChatEvent } from './events.ts';
import {
  answers,
  eventsFrom,
  jobId,
  line,
  pieces,
  receipt,
  refuses,
  startScripted,
  stream,
  textChunk,
  usage,
  wholeIds,
  wholeText,
  type Play,
} from './scripted-coordinator.ts';

const question = { model: 'tussah-tiny', messages: [{ role: 'user', content: 'What is tussah?' }] } as const;
const quick = { baseMs: 1, capMs: 4, totalMs: 20_000, firstTotalMs: 20_000 };

/** Asks a coordinator that plays a script; returns the events and what it was asked. */
async function chat(script: readonly Play[], options: ChatOptions = {}, asking: Question = question) {
  const { baseURL, asked } = await startScripted(script);
  const reconnecting = { ...quick, ...options.reconnecting };
  const events: ChatEvent[] = [];
  for await (const event of streamChat(asking, { baseURL, ...options, reconnecting })) events.push(event);
  const text = events.map((event) => (event.type === 'text-delta' ? event.text : '')).join('');
  return { events, asked, text, last: events.at(-1) };
}

const finished = { type: 'finished', finishReason: 'stop', usage, jobId, receipt };
const begun = eventsFrom(0).slice(0, 3);
const begunIds = pieces.slice(0, 2).flatMap((piece) => piece.ids);

describe('streamChat', () => {
  it('brings the text as it comes, and the proof at the end', async () => {
    const { events, asked } = await chat([answers()]);
    expect(events).toEqual([...pieces.map(({ text }) => ({ type: 'text-delta', text })), finished]);
    expect(asked).toHaveLength(1);
    expect(asked[0]?.body).toEqual({
      ...question,
      stream: true,
      stream_options: { include_usage: true },
      tussah: { resumable: true },
    });
    expect(asked[0]?.headers.authorization).toBeUndefined();
  });

  it('sends the API key and what else is asked of the network', async () => {
    const wanting = { ...question, tussah: { maxPriceNano: '1000' } };
    const { asked } = await chat([answers()], { apiKey: 'tsk_1' }, wanting);
    expect(asked[0]?.headers.authorization).toBe('Bearer tsk_1');
    expect(asked[0]?.body.tussah).toEqual({ maxPriceNano: '1000', resumable: true });
  });
});

/** Byte offsets of the whole stream: each border between two events, and places around and inside the events. */
function cuts(): number[] {
  let at = 0;
  const borders = eventsFrom(0).map((event) => (at += Buffer.byteLength(event)));
  return [0, ...borders.slice(0, -1)].flatMap((border) => [border, border + 1, border + 90, border + 230]);
}

describe('a connection that breaks', () => {
  it.each(cuts())('after %i bytes costs no text and repeats none', async (bytes) => {
    const { events, asked, text, last } = await chat([answers(bytes), answers()]);
    expect(text).toBe(wholeText);
    expect(last).toEqual(finished);
    expect(events.filter((event) => event.type === 'finished')).toHaveLength(1);
    const resume = asked[1]?.body.tussah?.resume;
    if (resume === undefined) {
      expect(events.some((event) => event.type === 'resumed')).toBe(false);
      return;
    }
    expect(resume).toEqual({ jobId, ids: wholeIds.slice(0, resume.ids.length) });
    expect(events).toContainEqual({ type: 'resumed', jobId, tokens: resume.ids.length });
    expect({ ...asked[1]?.body, tussah: asked[0]?.body.tussah }).toEqual(asked[0]?.body);
  });

  it('again and again, anywhere, still gives the whole text once', async () => {
    const lengths = fc.array(fc.nat(900), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(lengths, async (bytes) => {
        const { text, last } = await chat([...bytes.map((length) => answers(length)), answers()]);
        expect(text).toBe(wholeText);
        expect(last).toEqual(finished);
      }),
      { numRuns: 25 },
    );
  });

  it('before any text came is asked again from the start, under the same key', async () => {
    const { asked, text } = await chat([answers(0), answers(40), answers()]);
    expect(text).toBe(wholeText);
    expect(asked.map(({ body }) => body.tussah)).toEqual([1, 2, 3].map(() => ({ resumable: true })));
    const keys = asked.map(({ headers }) => headers['idempotency-key']);
    expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
    expect(new Set(keys).size).toBe(1);
  });

  it('is resumed by job, not by key', async () => {
    const { asked } = await chat([stream(begun, 'cut'), answers()], { idempotencyKey: 'mine' });
    expect(asked.map(({ headers }) => headers['idempotency-key'])).toEqual(['mine', undefined]);
  });

  it('for good is given up in time, with what came', async () => {
    const startedMs = performance.now();
    const { last, text, asked } = await chat([stream(begun, 'cut')], { reconnecting: { totalMs: 200 } });
    expect(last).toMatchObject({ type: 'failed', failure: { code: 'stream_cut' }, receipt: null });
    expect(text).toBe('Silk from');
    expect(asked.length).toBeGreaterThan(2);
    expect(performance.now() - startedMs).toBeLessThan(4_000);
  });

  it('and had never been made is given up sooner', async () => {
    const { last } = await chat([], { reconnecting: { totalMs: 60_000, firstTotalMs: 30 } });
    expect(last).toMatchObject({ type: 'failed', failure: { code: 'unreachable' } });
  });

  it('gets its whole time again after each text that came', async () => {
    const one = (n: number): Play => stream(eventsFrom(n).slice(0, 2), 'cut');
    const away = Array.from({ length: 2 }, (): Play => (response) => void response.socket?.destroy());
    const script = [one(0), ...away, one(1), ...away, one(3), ...away, answers()];
    const pauses = { baseMs: 100, capMs: 100, totalMs: 500 };
    const { last, text } = await chat(script, { reconnecting: pauses });
    expect(last).toEqual(finished);
    expect(text).toBe(wholeText);
  });

  it('after the end was said is whole, even if its proof can no longer be had', async () => {
    const said = eventsFrom(0).slice(0, -2);
    expect((await chat([stream(said, 'cut'), answers()])).last).toEqual(finished);
    const { last, text } = await chat([stream(said, 'cut'), refuses('job_unknown', 404)]);
    expect(last).toEqual({ ...finished, usage: null, receipt: null });
    expect(text).toBe(wholeText);
  });

  it('after the proof is a whole answer, without [DONE]', async () => {
    const { last, asked } = await chat([stream(eventsFrom(0).slice(0, -1), 'end')]);
    expect(last).toEqual(finished);
    expect(asked).toHaveLength(1);
  });
});

describe('silence', () => {
  it('counts as a broken connection, before and inside the answer', async () => {
    const never: Play = () => undefined;
    const script = [never, stream(begun, 'silence'), answers()];
    const impatient = { ...question, tussah: { maxWaitMs: 10 } };
    const { last, asked } = await chat(script, { reconnecting: { silenceMs: 300 } }, impatient);
    expect(last).toEqual(finished);
    expect(asked.map(({ body }) => body.tussah?.resume?.ids)).toEqual([undefined, undefined, begunIds]);
  });

  it('of the reader does not', async () => {
    const { baseURL, asked } = await startScripted([answers()]);
    for await (const event of streamChat(question, { baseURL, reconnecting: { ...quick, silenceMs: 150 } }))
      if (event.type === 'text-delta') await new Promise((resolve) => setTimeout(resolve, 200));
    expect(asked).toHaveLength(1);
  });
});

describe('a coordinator that', () => {
  it.each([
    ['restarts', refuses('coordinator_restarted')],
    ['shuts down', refuses('shutting_down')],
    ['is away behind a gateway', (response) => void response.writeHead(503).end('<html>')],
  ] satisfies [string, Play][])('%s is asked again', async (_, play) => {
    const fresh = await chat([play, play, answers()]);
    expect(fresh.last).toEqual(finished);
    const { last, text, asked } = await chat([stream(begun, 'cut'), play, answers()]);
    expect(last).toEqual(finished);
    expect(text).toBe(wholeText);
    expect(asked[2]?.body.tussah?.resume?.ids).toEqual(begunIds);
  });

  it('says in the middle of the answer that it restarts is resumed', async () => {
    const said = line({ error: { ...failure('coordinator_restarted'), type: 'server_error', param: null } });
    const { last, text, asked } = await chat([stream([...begun, said]), answers()]);
    expect(last).toEqual(finished);
    expect(text).toBe(wholeText);
    expect(asked[1]?.body.tussah?.resume?.ids).toEqual(begunIds);
  });

  it('has settled the part that came is not: the receipt is handed on', async () => {
    const error = { ...failure('shutting_down'), type: 'server_error', param: null };
    const { last, asked } = await chat([stream([...begun, line({ error, tussah: { jobId, receipt } })])]);
    expect(last).toMatchObject({ type: 'failed', failure: { code: 'shutting_down' }, receipt });
    expect(asked).toHaveLength(1);
  });

  it('asks to wait is not asked sooner', async () => {
    const startedMs = performance.now();
    const busy = refuses('coordinator_restarted', 503, { 'retry-after': '1' });
    const { last } = await chat([busy, answers()], { reconnecting: { totalMs: 5_000, firstTotalMs: 5_000 } });
    expect(last).toEqual(finished);
    expect(performance.now() - startedMs).toBeGreaterThan(900);
  });

  it.each(['queue_full', 'rate_limited'] as const)(
    'says %s is waited for only by an answer half there',
    async (code) => {
      const full = refuses(code, code === 'queue_full' ? 503 : 429);
      const fresh = await chat([full, answers()]);
      expect(fresh.last).toMatchObject({ type: 'failed', failure: { code } });
      expect((await chat([stream(begun, 'cut'), full, answers()])).last).toEqual(finished);
    },
  );

  it.each([
    ['job_unknown', 404],
    ['resume_mismatch', 409],
    ['contributor_failed', 502],
  ] as const)('refuses to resume with %s ends it, with the remedy', async (code, status) => {
    const { last, asked } = await chat([stream(begun, 'cut'), refuses(code, status), answers()]);
    expect(last).toEqual({ type: 'failed', failure: failure(code), receipt: null });
    expect(asked).toHaveLength(2);
  });

  it('refuses the question is not asked twice', async () => {
    const { last, asked } = await chat([refuses('insufficient_balance', 402), answers()]);
    expect(last).toMatchObject({ type: 'failed', failure: { code: 'insufficient_balance' } });
    expect(asked).toHaveLength(1);
  });
});

describe('what cannot be the answer', () => {
  const [first, second] = pieces as [(typeof pieces)[0], (typeof pieces)[0]];
  const head = begun.slice(0, 2);
  it.each([
    ['a chunk twice', [...head, textChunk(first, 0)]],
    ['a gap', [...head, textChunk(second, 2)]],
    ['an overlap', [...begun, textChunk(second, 2)]],
    ['text of another job', [...head, textChunk(second, 1, 'job_000000000000000000000002')]],
    ['text without its ids', [...head, line({ ...JSON.parse((head[1] ?? '').slice(6)), tussah: undefined })]],
    ['too many tokens', [textChunk({ text: 'a', ids: Array<number>(32_769).fill(1) }, 0)]],
    ['what is not JSON', [...head, 'data: {\n\n']],
    ['JSON of another shape', [...head, line({ hello: 1 })]],
    ['an event without end', [...head, `data: ${'x'.repeat(1_100_000)}`]],
    ['[DONE] before the end', [...begun, line('[DONE]')]],
  ])('%s fails, and is not resumed', async (_, events) => {
    const { last, asked, text } = await chat([stream(events), answers()]);
    expect(last).toMatchObject({ type: 'failed', failure: { code: 'unreadable_answer' } });
    expect(wholeText.startsWith(text)).toBe(true);
    expect(asked).toHaveLength(1);
  });

  it.each<[string, Play, string]>([
    [
      'a page',
      (response) => void response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'),
      'unreadable_answer',
    ],
    ['an error page', (response) => void response.writeHead(500).end('<html>'), 'internal'],
  ])('%s fails', async (_, play, code) => {
    const { last } = await chat([play, answers()]);
    expect(last).toMatchObject({ type: 'failed', failure: { code } });
  });
});

describe('an answer that came to its end', () => {
  it('is not cancelled', async () => {
    const { baseURL, cancelled } = await startScripted([answers()]);
    const events: ChatEvent[] = [];
    for await (const event of streamChat(question, { baseURL })) events.push(event);
    expect(events.at(-1)).toEqual(finished);
    expect(cancelled).toEqual([]);
  });
});

describe('stopping', () => {
  it('ends a running answer, and its connection', async () => {
    const closed = Promise.withResolvers<void>();
    const { baseURL, asked, cancelled } = await startScripted([
      (response, about) => {
        response.on('close', () => closed.resolve());
        stream(begun, 'silence')(response, about);
      },
    ]);
    const controller = new AbortController();
    const events: ChatEvent[] = [];
    for await (const event of streamChat(question, { baseURL, signal: controller.signal })) {
      events.push(event);
      if (events.length === 2) controller.abort();
    }
    await closed.promise;
    expect(events.map((event) => event.type)).toEqual(['text-delta', 'text-delta', 'stopped']);
    expect(asked).toHaveLength(1);
    const idempotencyKey = asked[0]?.headers['idempotency-key'];
    await expect.poll(() => cancelled).toEqual([{ idempotencyKey }]);
  });

  it('ends the waiting between two attempts', async () => {
    const controller = new AbortController();
    const { baseURL, asked } = await startScripted([
      (response, about) => {
        response.on('close', () => setTimeout(() => controller.abort(), 50));
        stream(begun, 'cut')(response, about);
      },
    ]);
    const reconnecting = { baseMs: 30_000, capMs: 30_000, totalMs: 60_000 };
    const events: ChatEvent[] = [];
    for await (const event of streamChat(question, { baseURL, signal: controller.signal, reconnecting }))
      events.push(event);
    expect(events.at(-1)).toEqual({ type: 'stopped' });
    expect(asked).toHaveLength(1);
  });

  it('before it began asks nothing', async () => {
    const { events, asked } = await chat([answers()], { signal: AbortSignal.abort() });
    expect(events).toEqual([{ type: 'stopped' }]);
    expect(asked).toHaveLength(0);
  });

  it('by leaving the loop closes the connection', async () => {
    const closed = Promise.withResolvers<void>();
    const { baseURL, cancelled } = await startScripted([
      (response, about) => {
        response.on('close', () => closed.resolve());
        stream(begun, 'silence')(response, about);
      },
    ]);
    for await (const event of streamChat(question, { baseURL })) if (event.type === 'text-delta') break;
    await expect(closed.promise).resolves.toBeUndefined();
    await expect.poll(() => cancelled).toHaveLength(1);
  });
});
