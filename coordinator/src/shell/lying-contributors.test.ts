/** A contributor that breaks the protocol inside a job is shown the door, and the client sees one whole answer from another. */
import { closeCodes, type ContributorFrame, type JobOffer } from '@tussah/protocol/contributor-frames';
import { hashOfIds } from '@tussah/protocol/bytes';
import { verifyReceipt } from '@tussah/protocol/receipts';
import { newIdentity } from '@tussah/protocol/signatures';
import { describe, expect, it } from 'vitest';
import type { ScriptedContributor } from './scripted-contributor.ts';
import { collect, idsOf, piecesOf, says, startNetwork, until } from './testing/harness.ts';

const ANSWER = '12 + 7 = 19. And 19 + 7 = 26.';
const pieces = piecesOf(ANSWER);
const HALF = 4;
const cheap = { promptNanoPerMillion: '1', completionNanoPerMillion: '1' };

type Misdeed = (offer: JobOffer, contributor: ScriptedContributor) => void | Promise<void>;

type Delta = Extract<ContributorFrame, { type: 'text-delta' }>;
const delta = ({ jobId }: JobOffer, change: Partial<Delta>): Delta => ({
  type: 'text-delta',
  jobId,
  position: HALF,
  ids: [...(pieces[HALF]?.ids ?? [])],
  text: pieces[HALF]?.text ?? '',
  ...change,
});

const done = (offer: JobOffer, ids: readonly number[]) =>
  ({
    type: 'job-done',
    jobId: offer.jobId,
    finishReason: 'stop',
    tokens: ids.length,
    idsHash: hashOfIds(ids),
    signature: '0'.repeat(128),
  }) as const;

const sentIds = pieces.slice(0, HALF).flatMap((piece) => piece.ids);
const logprob = { token: 'x', logprob: -1, bytes: null, top_logprobs: [] };

const misdeeds: [string, string, Misdeed][] = [
  ['leaves a gap', 'illegal_frame', (o, c) => c.send(delta(o, { position: HALF + 1 }))],
  ['repeats a position', 'illegal_frame', (o, c) => c.send(delta(o, { position: HALF - 1 }))],
  ['sends ids of another text', 'illegal_frame', (o, c) => c.send(delta(o, { text: 'attack' }))],
  ['sends text without its ids', 'malformed_frame', (o, c) => c.send(delta(o, { ids: [] }))],
  ['sends a control token', 'illegal_frame', (o, c) => c.send(delta(o, { ids: [2], text: '' }))],
  ['sends an id of no token', 'illegal_frame', (o, c) => c.send(delta(o, { ids: [999_999], text: '' }))],
  ['sends a lone surrogate', 'malformed_frame', (o, c) => c.send(delta(o, { text: '\uD83E' }))],
  ['sends log probabilities unasked', 'illegal_frame', (o, c) => c.send(delta(o, { logprobs: [logprob] }))],
  [
    'sends more than was asked for',
    'illegal_frame',
    (o, c) => c.send(delta(o, { ids: idsOf('a'.repeat(60)), text: 'a'.repeat(60) })),
  ],
  ['accepts twice', 'illegal_frame', (o, c) => c.send({ type: 'job-accept', jobId: o.jobId })],
  [
    'declines after accepting',
    'illegal_frame',
    (o, c) => c.send({ type: 'job-decline', jobId: o.jobId, reason: 'no' }),
  ],
  ['counts wrong', 'illegal_frame', (o, c) => c.send({ ...done(o, sentIds), tokens: HALF + 5 })],
  ['hashes wrong', 'illegal_frame', (o, c) => c.send({ ...done(o, sentIds), idsHash: '0'.repeat(64) })],
  ['signs wrong', 'bad_signature', (o, c) => c.send(done(o, sentIds))],
  ['sends nonsense', 'malformed_frame', (_, c) => c.sendRaw('nonsense')],
  ['sends binary', 'malformed_frame', (_, c) => c.sendRaw(Buffer.from([1, 2, 3]))],
  ['sends a frame that is too large', 'frame_too_large', (_, c) => c.sendRaw(' '.repeat(70_000))],
  ['raises its price', 'ask_too_high', (o, c) => c.send(announcement(o))],
];

const announcement = (offer: JobOffer): ContributorFrame => ({
  type: 'model-ready',
  model: offer.model,
  build: offer.build,
  profile: { engine: 'wllama', version: 'x', prefix: 'ids', seedBlock: 16, replay: 'bit-exact' },
  tokensPerSecond: 1,
  ask: { promptNanoPerMillion: '999999999', completionNanoPerMillion: '1' },
});

const closeCodeOf: Readonly<Record<string, number>> = {
  illegal_frame: closeCodes.illegalFrame,
  bad_signature: closeCodes.illegalFrame,
  ask_too_high: closeCodes.illegalFrame,
  malformed_frame: closeCodes.malformedFrame,
  frame_too_large: closeCodes.frameTooLarge,
};

describe('a contributor that, in the middle of an answer,', () => {
  it.each(misdeeds)('%s is refused, and another goes on', async (_, code, misdeed) => {
    const network = await startNetwork();
    const { key, account } = await network.account('1000000');
    const honest = await network.contribute(says(ANSWER));
    const liar = await network.contribute(
      async (offer, contributor) => {
        contributor.send({ type: 'job-accept', jobId: offer.jobId });
        await contributor.deliver(offer, pieces.slice(0, HALF));
        await misdeed(offer, contributor);
      },
      { ask: cheap },
    );
    const answer = await collect(await network.chat({ stream: true, max_tokens: 60 }, { key }));
    expect(answer).toMatchObject({ text: ANSWER, finishReason: 'stop', error: undefined });
    expect(await liar.closed()).toBe(closeCodeOf[code]);
    const last = liar.frames.at(-1);
    expect(last).toMatchObject({ type: 'refused', code });
    if (last?.type === 'refused') expect(last.remedy.length).toBeGreaterThan(10);

    expect(honest.offers[0]?.prefix).toEqual({ text: '12 + ', ids: sentIds });
    const receipt = answer.tussah?.receipt;
    expect(await verifyReceipt(receipt, network.publicKey)).toMatchObject({ valid: true });
    expect(receipt?.segments.map((segment) => segment.contributor)).toEqual([
      liar.publicKey,
      honest.publicKey,
    ]);
    expect(receipt?.segments.map((segment) => segment.firstPosition)).toEqual([0, HALF]);
    expect(await network.balanceOf(account)).toBe(1_000_000n - BigInt(receipt?.chargedNano ?? 0));
  });

  it('speaks before it accepted is refused, and the client never sees it', async () => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    const liar = await network.contribute(
      async (offer, contributor) => {
        contributor.send(delta(offer, { position: 0 }));
      },
      { ask: cheap },
    );
    const answer = await network.answer({});
    expect(answer.choices[0]?.message.content).toBe(ANSWER);
    expect(answer.tussah.receipt.segments).toHaveLength(1);
    expect(await liar.closed()).toBe(closeCodes.illegalFrame);
  });

  it('floods is refused, and another goes on', async () => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    const flood = await network.contribute(
      async (offer, contributor) => {
        contributor.send({ type: 'job-accept', jobId: offer.jobId });
        for (let i = 0; i < 1_000; i++) contributor.send({ type: 'pong', n: 0 });
      },
      { ask: cheap },
    );
    expect((await network.answer({})).choices[0]?.message.content).toBe(ANSWER);
    expect(await flood.closed()).toBe(closeCodes.tooFast);
  });
});

describe("somebody else's job", () => {
  it.each<[string, (jobId: string) => ContributorFrame]>([
    [
      'text',
      (jobId) => ({
        type: 'text-delta',
        jobId,
        position: 0,
        ids: [...(pieces[0]?.ids ?? [])],
        text: pieces[0]?.text ?? '',
      }),
    ],
    ['acceptance', (jobId) => ({ type: 'job-accept', jobId })],
    ['failure', (jobId) => ({ type: 'job-failed', jobId, code: 'x', message: 'x' })],
    [
      'end',
      (jobId) => ({
        type: 'job-done',
        jobId,
        finishReason: 'stop',
        tokens: 0,
        idsHash: hashOfIds([]),
        signature: '0'.repeat(128),
      }),
    ],
  ])('is not touched by a stranger: %s', async (_, frameFor) => {
    const network = await startNetwork();
    const owner = await network.contribute(says(ANSWER, 10), { ask: cheap });
    const running = network.chat({ stream: true }).then(collect);
    await until('it runs', () => owner.offers.length === 1);
    const stranger = await network.contribute(() => 'ignore');
    stranger.send(frameFor(owner.offers[0]?.jobId ?? ''));
    expect(await stranger.closed()).toBe(closeCodes.illegalFrame);
    expect(await running).toMatchObject({ text: ANSWER, finishReason: 'stop' });
  });
});

describe('a session that is replaced while it answers', () => {
  it('loses its job to another', async () => {
    const network = await startNetwork();
    const identity = await newIdentity();
    const first = await network.contribute(says(ANSWER, 30), { identity, ask: cheap });
    const running = network.chat({ stream: true }).then(collect);
    await until('it runs', () => first.offers.length === 1);
    const other = await network.contribute(says(ANSWER));
    await network.contribute(() => 'ignore', { identity, ask: cheap });
    expect(await first.closed()).toBe(closeCodes.replaced);
    expect(await running).toMatchObject({ text: ANSWER, finishReason: 'stop' });
    expect(other.offers).toHaveLength(1);
  });
});
