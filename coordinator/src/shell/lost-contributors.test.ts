/** Contributors that vanish, fail or fall silent: the client sees one answer, and each is paid for its part. */
import { describe, expect, it } from 'vitest';
import { verifyReceipt } from '@tussah/protocol/receipts';
import { newIdentity } from '@tussah/protocol/signatures';
import type { Script } from './scripted-contributor.ts';
import {
  collect,
  eventsOf,
  idsOf,
  piecesOf,
  says,
  startNetwork,
  until,
  type SseEvent,
  model,
} from './testing/harness.ts';

const ANSWER = 'Шёлк 🧵 is silk. 12 + 7 = 19, and 19 + 7 = 26.';
const pieces = piecesOf(ANSWER);
const HALF = 6;
const half = pieces.slice(0, HALF);
const halfText = half.map((piece) => piece.text).join('');
const halfIds = half.flatMap((piece) => piece.ids);
const cheap = { promptNanoPerMillion: '10000', completionNanoPerMillion: '40000' };

/** Delivers the first half, then does something else. */
const halfThen =
  (after: (...args: Parameters<Script>) => void): Script =>
  async (offer, contributor) => {
    contributor.send({ type: 'job-accept', jobId: offer.jobId });
    await contributor.deliver(offer, half);
    after(offer, contributor);
  };

describe('a contributor that vanishes', () => {
  it('before the first token is replaced, and the client sees nothing of it', async () => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    await network.contribute(
      async (offer, contributor) => {
        contributor.send({ type: 'job-accept', jobId: offer.jobId });
        contributor.vanish();
      },
      { ask: cheap },
    );
    const answer = await network.answer({});
    expect(answer.choices[0]?.message.content).toBe(ANSWER);
    expect(answer.tussah.receipt.segments).toHaveLength(1);
    expect(answer.usage.completion_tokens).toBe(idsOf(ANSWER).length);
  });

  it('in the middle is continued by another of the same build, and each is paid its part', async () => {
    const network = await startNetwork();
    const { key, account } = await network.account('1000000');
    const second = await network.contribute(says(ANSWER));
    const first = await network.contribute(
      halfThen((_, contributor) => contributor.vanish()),
      { ask: cheap },
    );
    const asked = {
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 200,
      stop: ['END'],
      seed: 5,
    };
    const answer = await collect(await network.chat(asked, { key }));
    expect(answer).toMatchObject({ text: ANSWER, finishReason: 'stop', error: undefined });

    const [one, other] = [first.offers[0], second.offers[0]];
    expect(other).toEqual({ ...one, prefix: { text: halfText, ids: halfIds }, price: other?.price });
    const receipt = answer.tussah?.receipt;
    expect(await verifyReceipt(receipt, network.publicKey)).toMatchObject({ valid: true });
    expect(receipt).toMatchObject({
      outcome: 'complete',
      usage: { promptTokens: one?.prompt.ids.length, completionTokens: idsOf(ANSWER).length },
      segments: [
        {
          contributor: first.publicKey,
          firstPosition: 0,
          tokens: halfIds.length,
          end: 'lost',
          signature: null,
        },
        {
          contributor: second.publicKey,
          firstPosition: halfIds.length,
          tokens: idsOf(ANSWER).length - halfIds.length,
          promptTokens: 0,
          end: 'stop',
        },
      ],
    });
    expect(await network.balanceOf(account)).toBe(1_000_000n - BigInt(receipt?.chargedNano ?? 0));
    expect((await second.frame('job-settled')).payNano).toBe(receipt?.segments[1]?.payNano);
  });

  it('with nobody to go on ends the stream with an error, and what was delivered is charged', async () => {
    const network = await startNetwork();
    const { key, account } = await network.account('1000000');
    await network.contribute(halfThen((_, contributor) => contributor.vanish()));
    const answer = await collect(await network.chat({ stream: true }, { key }));
    expect(answer).toMatchObject({
      text: halfText,
      finishReason: null,
      error: { code: 'contributor_failed' },
    });
    const receipt = answer.tussah?.receipt;
    expect(await verifyReceipt(receipt, network.publicKey)).toMatchObject({ valid: true });
    expect(receipt).toMatchObject({ outcome: 'failed', usage: { completionTokens: halfIds.length } });
    expect(await network.balanceOf(account)).toBe(1_000_000n - BigInt(receipt?.chargedNano ?? 0));
  });

  it('with nobody to go on costs nothing when the client saw nothing', async () => {
    const network = await startNetwork();
    const { key, account } = await network.account('1000000');
    await network.contribute(halfThen((_, contributor) => contributor.vanish()));
    const response = await network.chat({}, { key });
    expect(response.status).toBe(502);
    expect(await response.json()).toMatchObject({ error: { code: 'contributor_failed' } });
    expect(await network.balanceOf(account)).toBe(1_000_000n);
  });

  it('is not continued by another build, whose numbers differ', async () => {
    const network = await startNetwork();
    const other = model.builds.find((build) => build.engine === 'webllm');
    if (other === undefined) throw new Error('the bundled model has a build for WebLLM');
    await network.contribute(
      halfThen((_, contributor) => contributor.vanish()),
      { ask: cheap },
    );
    const stranger = await network.contribute(says(ANSWER), { build: other.id, engine: 'webllm' });
    const answer = await collect(await network.chat({ stream: true }));
    expect(answer).toMatchObject({ text: halfText, error: { code: 'contributor_failed' } });
    expect(stranger.offers).toHaveLength(0);
    expect((await network.answer({})).choices[0]?.message.content).toBe(ANSWER);
  });
});

describe('a contributor that comes back within the grace', () => {
  it('goes on from the position it is told, in the same session', async () => {
    const network = await startNetwork({ core: { resumeGraceMs: 3_000 } });
    const identity = await newIdentity();
    const first = await network.contribute(
      halfThen((_, contributor) => contributor.vanish()),
      { identity },
    );
    const running = network.chat({ stream: true }).then(collect);
    await first.closed();
    const { sessionId } = await first.frame('welcome');
    const offer = first.offers[0];
    if (offer === undefined) throw new Error('there was no offer');

    const back = await network.contribute(() => 'ignore', { identity, resume: sessionId });
    const welcome = await back.frame('welcome');
    expect(welcome.sessionId).toBe(sessionId);
    expect(welcome.resumed).toEqual([{ jobId: offer.jobId, position: halfIds.length }]);
    const ids = await back.deliver(offer, pieces.slice(HALF), halfIds);
    await back.finish(offer, ids ?? []);
    const answer = await running;
    expect(answer).toMatchObject({ text: ANSWER, finishReason: 'stop' });
    expect(answer.tussah?.receipt.segments).toHaveLength(1);
    expect(await verifyReceipt(answer.tussah?.receipt)).toMatchObject({ valid: true });
  });

  it('without its session starts anew, and its job goes elsewhere', async () => {
    const network = await startNetwork({ core: { resumeGraceMs: 3_000 } });
    const identity = await newIdentity();
    const first = await network.contribute(
      halfThen((_, contributor) => contributor.vanish()),
      { identity, ask: cheap },
    );
    const running = network.chat({ stream: true }).then(collect);
    await first.closed();
    const other = await network.contribute(says(ANSWER));
    const back = await network.contribute(() => 'ignore', { identity });
    expect((await back.frame('welcome')).resumed).toEqual([]);
    expect(await running).toMatchObject({ text: ANSWER, finishReason: 'stop' });
    expect(other.offers[0]?.prefix.ids).toEqual(halfIds);
  });

  it("cannot take over another key's session", async () => {
    const network = await startNetwork({ core: { resumeGraceMs: 1_000 } });
    const first = await network.contribute(
      halfThen((_, contributor) => contributor.vanish()),
      { ask: cheap },
    );
    const running = network.chat({ stream: true }).then(collect);
    await first.closed();
    const { sessionId } = await first.frame('welcome');
    const thief = await network.contribute(says(ANSWER), { resume: sessionId });
    const welcome = await thief.frame('welcome');
    expect(welcome.sessionId).not.toBe(sessionId);
    expect(welcome.resumed).toEqual([]);
    expect(await running).toMatchObject({ text: ANSWER });
  });
});

describe('a contributor that stays but does not serve', () => {
  it('loses the job after its silence, before the first token and after', async () => {
    for (const silent of [halfThen(() => undefined), acceptOnly]) {
      const network = await startNetwork({ core: { tokenSilenceMs: 120, firstTokenSilenceMs: 120 } });
      const other = await network.contribute(says(ANSWER));
      const sleeper = await network.contribute(silent, { ask: cheap });
      const answer = await collect(await network.chat({ stream: true }));
      expect(answer).toMatchObject({ text: ANSWER, finishReason: 'stop' });
      expect(other.offers).toHaveLength(1);
      expect(sleeper.closeCode).toBeUndefined();
      expect(await sleeper.frame('job-cancel')).toMatchObject({ jobId: sleeper.offers[0]?.jobId });
      await network.close();
    }
  });

  it('says that it failed, and another goes on', async () => {
    const network = await startNetwork();
    const other = await network.contribute(says(ANSWER));
    await network.contribute(
      halfThen(({ jobId }, contributor) =>
        contributor.send({ type: 'job-failed', jobId, code: 'gpu_lost', message: 'The GPU is gone.' }),
      ),
      { ask: cheap },
    );
    const answer = await collect(await network.chat({ stream: true }));
    expect(answer.text).toBe(ANSWER);
    expect(answer.tussah?.receipt.segments.map((segment) => segment.end)).toEqual(['failed', 'stop']);
    expect(other.offers[0]?.prefix.text).toBe(halfText);
  });

  it('fails again and again and is not asked any more for a while', async () => {
    const network = await startNetwork({ core: { failuresBeforeRest: 2, restMs: 60_000 } });
    const failing = await network.contribute(
      async ({ jobId }, contributor) =>
        contributor.send({ type: 'job-failed', jobId, code: 'x', message: 'x' }),
      { ask: cheap },
    );
    await network.contribute(says(ANSWER));
    for (let i = 0; i < 4; i++) await network.answer({});
    expect(failing.offers).toHaveLength(2);
  });

  it('are tried only so often for one job', async () => {
    const network = await startNetwork({ core: { attempts: 2 } });
    const failing = await Promise.all(
      [1, 2, 3].map(() =>
        network.contribute(async ({ jobId }, contributor) =>
          contributor.send({ type: 'job-failed', jobId, code: 'x', message: 'x' }),
        ),
      ),
    );
    const response = await network.chat({});
    expect(response.status).toBe(502);
    expect(failing.reduce((sum, contributor) => sum + contributor.offers.length, 0)).toBe(2);
  });
});

const acceptOnly: Script = async ({ jobId }, contributor) => contributor.send({ type: 'job-accept', jobId });

describe('a coordinator that stops', () => {
  it('lets the running answer end, refuses new ones, and tells its contributors', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute(says(ANSWER, 15));
    const response = await network.chat({ stream: true });
    const events: SseEvent[] = [];
    const reading = (async () => {
      for await (const event of eventsOf(response)) events.push(event);
    })();
    await until('it streams', () => events.length > 2);
    const stopped = network.stop();
    await contributor.frame('drain');
    expect((await fetch(`${network.url}/readyz`)).status).toBe(503);
    const refused = await network.chat({});
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ error: { code: 'shutting_down' } });
    await reading;
    expect(events.map((event) => event.choices?.[0]?.delta.content ?? '').join('')).toBe(ANSWER);
    expect(events.at(-1)?.tussah?.receipt.outcome).toBe('complete');
    await stopped;
    expect(await contributor.closed()).toBe(4503);
  });
});
