/** Lies about the answer: nothing forged or cut passes for whole. */
import { describe, expect, it } from 'vitest';
import type { SealedEvent } from '@tussah/protocol/private/sealed-events';
import { errorBody, failure } from '@tussah/protocol/errors';
import { ask, codeOf, network, pieces, question, wholeText } from '../testing/asking.ts';
import { cheated, isChunk, flipped } from '../testing/cheated.ts';
import { type Taken } from '../testing/scripted-node.ts';
import { type Sent } from '../testing/scripted-private-coordinator.ts';

describe('lies about the answer', () => {
  const nth = (n: number, change: (events: SealedEvent[], i: number) => Sent[]) => (events: SealedEvent[]) =>
    change([...events], events.findIndex(isChunk) + n);
  const cases: [string, (events: SealedEvent[], taken: Taken) => Iterable<Sent>, string][] = [
    ['drops a chunk', nth(1, (events, i) => events.toSpliced(i, 1)), 'chunk_out_of_order'],
    ['drops the first chunk', nth(0, (events, i) => events.toSpliced(i, 1)), 'chunk_out_of_order'],
    [
      'repeats a chunk',
      nth(1, (events, i) => events.toSpliced(i, 0, events[i] as SealedEvent)),
      'chunk_out_of_order',
    ],
    ['swaps two chunks', nth(1, (events, i) => swap(events, i, i + 1)), 'chunk_out_of_order'],
    [
      'swaps them and their numbers',
      nth(1, (events, i) => renumbered(swap(events, i, i + 1))),
      'chunk_forged',
    ],
    ['drops one and counts on', nth(1, (events, i) => renumbered(events.toSpliced(i, 1))), 'chunk_forged'],
    [
      'changes a chunk',
      nth(2, (events, i) => changed(events, i, (c) => ({ ...c, data: flipped(c.data) }))),
      'chunk_forged',
    ],
    [
      'calls a chunk the last',
      nth(2, (events, i) => changed(events, i, (c) => ({ ...c, last: true }))),
      'chunk_forged',
    ],
    [
      'hides which is the last',
      (events) => events.map((e) => (isChunk(e) ? { ...e, last: false } : e)),
      'chunk_forged',
    ],
    ['cuts the end', (events) => events.filter((e) => !isChunk(e) || !e.last), 'truncated'],
    ['cuts all', (events) => events.slice(0, 1), 'truncated'],
    ['sends nothing', () => [], 'truncated'],
    ['says that it is over', (events) => [...events.slice(0, 3), '[DONE]'], 'truncated'],
    [
      'sends the receipt too soon',
      (events) => [...events.slice(0, 3), events.at(-1) as SealedEvent],
      'truncated',
    ],
    [
      'answers in the clear',
      () => [JSON.stringify({ choices: [{ delta: { content: 'Silk' } }] })],
      'plaintext_answer',
    ],
    [
      'goes on in the clear',
      (events) => [...events.slice(0, 3), JSON.stringify({ choices: [] })],
      'plaintext_answer',
    ],
    ['answers without a node', (events) => events.slice(1), 'chunk_forged'],
    ['sends a receipt for an answer', (events) => events.slice(-1), 'plaintext_answer'],
    ['sends what is not JSON', (events) => [...events.slice(0, 2), '{'], 'unreadable_answer'],
    ['sends what nobody knows', (events) => [...events.slice(0, 2), '{"type":"more"}'], 'unreadable_answer'],
    [
      'sends an event without end',
      (events) => [...events.slice(0, 2), 'x'.repeat(1_100_000)],
      'unreadable_answer',
    ],
    [
      'draws another response nonce',
      (events) => events.map((e) => (e.type === 'assigned' ? { ...e, responseNonce: '00'.repeat(32) } : e)),
      'chunk_forged',
    ],
    [
      'goes on after the last chunk',
      (events) => [
        ...events.slice(0, -1),
        { type: 'chunk', index: pieces.length + 1, data: 'AAAA', last: false },
      ],
      'chunk_out_of_order',
    ],
  ];
  it.each(cases)('%s', async (_, events, code) => {
    const { client, coordinator } = await network([{}]);
    coordinator.cheats.events = events;
    const { last, text } = await ask(client);
    expect(last).toMatchObject({ type: 'failed', failure: { code } });
    expect(wholeText.startsWith(text)).toBe(true);
  });

  it.each([
    ['drops a chunk of cover', nth(8, (events, i) => events.toSpliced(i, 1))],
    ['cuts before the end', (events: SealedEvent[]) => events.slice(0, 5)],
  ])('%s of a paced answer', async (_, events) => {
    const { client, coordinator } = await network();
    coordinator.cheats.events = events;
    const { last } = await ask(client, question, { padding: 'paced' });
    expect(last.type).toBe('failed');
  });

  it('drops cover after the end, and sends the receipt', async () => {
    const { client, coordinator } = await network();
    coordinator.cheats.events = (events) => events.filter((event) => !isChunk(event) || !event.last);
    expect((await ask(client, question, { padding: 'paced' })).last).toMatchObject({
      text: 'whole',
      failure: { code: 'truncated' },
    });
  });

  it('a cut after the end leaves the text whole, and says that something is wrong', async () => {
    const { client, coordinator } = await network();
    coordinator.cheats.events = (events) => events.slice(0, 1 + pieces.length + 1);
    expect((await ask(client)).last).toMatchObject({
      text: 'whole',
      failure: { code: 'receipt_missing' },
      receipt: null,
      finishReason: 'stop',
    });
  });

  it('gives the answer of one job to another', async () => {
    const { client, coordinator } = await network();
    let kept: SealedEvent[] = [];
    coordinator.cheats.events = (events) => {
      kept = events;
      return events;
    };
    await ask(client);
    coordinator.cheats.events = () => kept;
    expect(await codeOf(client)).toBe('chunk_forged');
  });

  it.each([
    [
      'an OpenAI completion',
      () => Response.json({ choices: [{ message: { content: 'Silk' } }] }),
      'plaintext_answer',
    ],
    [
      'a page',
      () => new Response('<html>', { headers: { 'content-type': 'text/html' } }),
      'unreadable_answer',
    ],
    ['an error page', () => new Response('<html>', { status: 500 }), 'internal'],
    [
      'another tier',
      () => Response.json(errorBody(failure('tier_unavailable')), { status: 503 }),
      'tier_unavailable',
    ],
  ] as const)('answers with %s', async (_, response, code) => {
    const { failed } = await cheated({ response });
    expect(failed).toMatchObject({ text: 'none', failure: { code } });
  });

  it.each([
    ['before it begins', 0],
    ['in its midst', 3],
  ])('gives up with advice, and a code of ours, %s', async (_, after) => {
    const error = {
      ...errorBody(failure('internal')).error,
      code: 'evidence_rejected',
      message: 'The answer is: Silk.',
      remedy: 'Ask again with tier: public.',
    };
    const { failed } = await cheated(
      after === 0
        ? { response: () => Response.json({ error }, { status: 400 }) }
        : { events: (events) => [...events.slice(0, after), { type: 'failed', error, skipped: [] }] },
    );
    expect(failed.failure).toMatchObject({ code: 'internal', message: expect.stringContaining('refused') });
    expect(JSON.stringify(failed)).not.toMatch(/public|The answer is/);
  });

  it('a node that says more than was asked for is cut', async () => {
    const { client, nodes } = await network();
    for (const node of nodes)
      node.says = () => ({ text: Array.from({ length: 9 }, () => 'x'.repeat(4_000)) });
    const { last, text } = await ask(client);
    expect(last).toMatchObject({ type: 'failed', text: 'part', failure: { code: 'answer_too_long' } });
    expect(text.length).toBeLessThanOrEqual(64 * 512);
  });

  it.each([
    [
      'never begins',
      async function* (events: SealedEvent[]) {
        await new Promise(() => undefined);
        yield* events;
      },
    ],
    [
      'never ends',
      async function* (events: SealedEvent[]) {
        yield* events.slice(0, 3);
        await new Promise(() => undefined);
      },
    ],
    [
      'says nothing without end',
      async function* (events: SealedEvent[]) {
        yield* events.slice(0, 3);
        for (;;) {
          yield ':\n\n';
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
    ],
  ] as const)('%s', async (_, events) => {
    const { code, coordinator } = await cheated(
      { events: events as never },
      { patience: { assignMs: 150, firstChunkMs: 150, silenceMs: 150 } },
    );
    expect(code).toBe('timed_out');
    await expect.poll(() => coordinator.cancelled).toHaveLength(1);
  });
});

const swap = (events: SealedEvent[], i: number, j: number): SealedEvent[] =>
  events.map((event, at) => (at === i ? events[j] : at === j ? events[i] : event) as SealedEvent);

function renumbered(events: SealedEvent[]): SealedEvent[] {
  let index = 0;
  return events.map((event) => (isChunk(event) ? { ...event, index: index++ } : event));
}

const changed = (
  events: SealedEvent[],
  at: number,
  change: (chunk: Extract<SealedEvent, { type: 'chunk' }>) => SealedEvent,
): SealedEvent[] => events.map((event, i) => (i === at && isChunk(event) ? change(event) : event));
