/** How jobs find contributors: sharing, price, demands, the queue, refusals, and statuses. */
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { Network } from '@tussah/protocol/network';
import { pause } from './scripted-contributor.ts';
import {
  piecesOf,
  says,
  startNetwork,
  until,
  type TestNetwork,
  model,
  modelsFolder,
} from './testing/harness.ts';
import { Tokenizers } from './tokenizers.ts';

const ANSWER = '12 + 7 = 19.';
const ask = (nano: number) => ({
  promptNanoPerMillion: String(nano),
  completionNanoPerMillion: String(nano),
});

async function refusalOf(network: TestNetwork, body: Record<string, unknown>): Promise<string> {
  const response = await network.chat(body);
  const { error } = (await response.json()) as { error: { code: string } };
  return `${response.status} ${error.code}`;
}

describe('contributors', () => {
  it('that are equal take turns', async () => {
    const network = await startNetwork();
    // Too short to measure, so that the speed stays what they claim; it stays in one class whatever their reliability.
    const equal = () => network.contribute(says('19.'), { tokensPerSecond: 64 });
    const both = [await equal(), await equal()];
    for (let i = 0; i < 6; i++) await network.answer({});
    expect(both.map((contributor) => contributor.offers.length)).toEqual([3, 3]);
  });

  it('that ask less come first; the dearer ones serve when they are busy', async () => {
    const network = await startNetwork();
    const dear = await network.contribute(says(ANSWER), { ask: ask(90_000) });
    const cheap = await network.contribute(says(ANSWER, 10), { ask: ask(50_000) });
    const first = network.answer({});
    await until('the cheaper has it', () => cheap.offers.length === 1);
    const second = await network.answer({});
    expect(second.tussah.receipt.segments[0]?.contributor).toBe(dear.publicKey);
    expect(second.tussah.receipt.segments[0]?.price).toEqual(ask(90_000));
    const { segments, chargedNano } = (await first).tussah.receipt;
    expect(segments[0]?.contributor).toBe(cheap.publicKey);
    expect(chargedNano).toBe(String(Math.ceil((27 * 50_000) / 1_000_000)));
    await network.answer({});
    expect([cheap.offers.length, dear.offers.length]).toEqual([2, 1]);
  });

  it('that decline pass the job on, without blame and unseen', async () => {
    const network = await startNetwork();
    const other = await network.contribute(says(ANSWER));
    const shy = await network.contribute(
      async (offer, contributor) =>
        contributor.send({ type: 'job-decline', jobId: offer.jobId, reason: 'busy with a game' }),
      { ask: ask(1) },
    );
    const answer = await network.answer({});
    expect(answer.tussah.receipt.segments.map((segment) => segment.contributor)).toEqual([other.publicKey]);
    expect(shy.closeCode).toBeUndefined();
    expect(shy.offers).toHaveLength(1);
  });

  it('that do not answer an offer in time lose it', async () => {
    const network = await startNetwork({ core: { acceptTimeoutMs: 100 } });
    const other = await network.contribute(says(ANSWER));
    const deaf = await network.contribute(() => 'ignore', { ask: ask(1) });
    await network.answer({});
    expect([deaf.offers.length, other.offers.length]).toEqual([1, 1]);
    expect(deaf.frames.at(-1)).toMatchObject({ type: 'job-cancel', jobId: deaf.offers[0]?.jobId });
  });

  it('that pause or drain finish what runs and get nothing new until they are ready', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute(says(ANSWER, 10));
    const running = network.answer({});
    await until('it runs', () => contributor.offers.length === 1);
    contributor.send({ type: 'status', state: 'paused' });
    expect((await running).choices[0]?.message.content).toBe(ANSWER);
    expect(await refusalOf(network, { tussah: { maxWaitMs: 100 } })).toBe('503 no_contributor');
    contributor.send({ type: 'status', state: 'draining' });
    const waiting = network.answer({ tussah: { maxWaitMs: 5_000 } });
    await network.logged('job-queued');
    expect(contributor.offers).toHaveLength(1);
    contributor.send({ type: 'status', state: 'ready' });
    expect((await waiting).choices[0]?.message.content).toBe(ANSWER);
  });
});

describe('demands', () => {
  it('for speed choose who meets them, or are refused', async () => {
    const network = await startNetwork();
    const slow = await network.contribute(says(ANSWER, 2), { ask: ask(1), tokensPerSecond: 5 });
    const fast = await network.contribute(says(ANSWER), { tokensPerSecond: 200 });
    await network.answer({ tussah: { minTokensPerSecond: 100 } });
    expect([slow.offers.length, fast.offers.length]).toEqual([0, 1]);
    const impossible = { minTokensPerSecond: 99_999, maxWaitMs: 0 };
    expect(await refusalOf(network, { tussah: impossible })).toBe('503 no_contributor');
  });

  it('for a first token soon pass over who has been slow at it', async () => {
    const network = await startNetwork();
    const slow = await network.contribute(
      () => piecesOf(ANSWER).map((piece, i) => ({ ...piece, delayMs: i === 0 ? 150 : 0 })),
      { ask: ask(1) },
    );
    const demand = { maxTtftMs: 100, maxWaitMs: 0 };
    // Nobody knows it yet.
    await network.answer({ tussah: demand });
    expect(await refusalOf(network, { tussah: demand })).toBe('503 no_contributor');
    const quick = await network.contribute(says(ANSWER));
    await network.answer({ tussah: demand });
    expect([slow.offers.length, quick.offers.length]).toEqual([1, 1]);
  });

  it('for a highest price choose who is cheap enough, or are refused for the price', async () => {
    const network = await startNetwork();
    const dear = await network.contribute(says(ANSWER), { ask: ask(100_000) });
    const tussah = { maxPriceNano: '6', maxWaitMs: 0 };
    // 17 prompt tokens and 50 completion tokens: 7 nanoTON.
    expect(await refusalOf(network, { max_tokens: 50, tussah })).toBe('402 price_too_high');
    const cheap = await network.contribute(says(ANSWER), { ask: ask(50_000) });
    const answer = await network.answer({ max_tokens: 50, tussah });
    expect(Number(answer.tussah.receipt.chargedNano)).toBeLessThanOrEqual(6);
    expect([dear.offers.length, cheap.offers.length]).toEqual([0, 1]);
  });
});

describe('a job that nobody is free for', () => {
  it('waits its time and is refused, for nothing', async () => {
    const network = await startNetwork();
    const begin = Date.now();
    expect(await refusalOf(network, { tussah: { maxWaitMs: 200 } })).toBe('503 no_contributor');
    expect(Date.now() - begin).toBeGreaterThanOrEqual(195);
    const { guests, queued } = await network.get<Network>('/v1/network');
    expect({ guests, queued }).toEqual({
      guests: { accepted: true, remainingNano: '1000000000' },
      queued: 0,
    });
  });

  it('is served in turn when somebody is', async () => {
    const network = await startNetwork();
    const waiting = [1, 2, 3].map((seed) => network.answer({ seed }));
    await until('all wait', () => network.log.filter((line) => line.msg === 'job-queued').length === 3);
    const contributor = await network.contribute(says(ANSWER));
    await Promise.all(waiting);
    expect(contributor.offers).toHaveLength(3);
    expect(contributor.frames.filter((frame) => frame.type === 'job-settled')).toHaveLength(3);
  });

  it('shares a busy contributor fairly: one that asks once does not wait behind one that asks often', async () => {
    const network = await startNetwork();
    const [often, once] = [await network.account('1000000'), await network.account('1000000')];
    const many = Array.from({ length: 6 }, (_, i) => network.answer({ seed: i }, { key: often.key }));
    await until('all wait', () => network.log.filter((line) => line.msg === 'job-queued').length === 6);
    const late = network.answer({ seed: 99 }, { key: once.key });
    await until('it waits, too', () => network.log.filter((line) => line.msg === 'job-queued').length === 7);
    const contributor = await network.contribute(says(ANSWER));
    await Promise.all([...many, late]);
    const place = contributor.offers.findIndex((offer) => offer.seedRoot === 'seed:99');
    expect(place).toBeLessThanOrEqual(1);
  });

  it('is refused at once when the queue is full', async () => {
    const network = await startNetwork({ core: { queuedPerAccount: 2 } });
    const waiting = [1, 2].map((seed) => network.chat({ seed, tussah: { maxWaitMs: 400 } }));
    await until('both wait', () => network.log.filter((line) => line.msg === 'job-queued').length === 2);
    const response = await network.chat({});
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('2');
    expect(await response.json()).toMatchObject({ error: { code: 'queue_full' } });
    await Promise.all(waiting);
  });

  it('leaves the queue when its client leaves', async () => {
    const network = await startNetwork();
    const leaving = new AbortController();
    const response = network.chat({ stream: true }, { signal: leaving.signal });
    await network.logged('job-queued');
    leaving.abort();
    await expect(response).rejects.toThrow('abort');
    await network.logged('job-ended', (line) => line['outcome'] === 'cancelled');
    const contributor = await network.contribute(says(ANSWER));
    await pause(30);
    expect(contributor.offers).toHaveLength(0);
  });
});

describe('a client that leaves', () => {
  it.each([true, false])(
    'stops its contributor at once and pays for what was delivered (stream: %j)',
    async (stream) => {
      const network = await startNetwork();
      const contributor = await network.contribute(() => piecesOf('ten '.repeat(60), 15));
      const { key, account } = await network.account('1000000');
      const leaving = new AbortController();
      const response = network.chat({ stream }, { key, signal: leaving.signal });
      response.catch(() => undefined);
      await until('it runs', () => contributor.offers.length === 1);
      await pause(60);
      leaving.abort();
      await contributor.frame('job-cancel');
      const { tokens, receiptId } = await contributor.frame('job-settled');
      expect(tokens).toBeGreaterThan(0);
      const receipt = await network.get<{ outcome: string; chargedNano: string }>(
        `/v1/receipts/${receiptId}`,
      );
      expect(receipt.outcome).toBe('cancelled');
      expect(await network.balanceOf(account)).toBe(1_000_000n - BigInt(receipt.chargedNano));
    },
  );

  it('while its request is still being prepared starts no job', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute(says(ANSWER));
    const text = await new Tokenizers(modelsFolder, network.dataFolder).load(model);
    const loading = vi.spyOn(Tokenizers.prototype, 'load').mockImplementation(async () => {
      await pause(100);
      return text;
    });
    onTestFinished(() => loading.mockRestore());
    const leaving = new AbortController();
    const response = network.chat({ stream: true }, { signal: leaving.signal });
    await until('it is being prepared', () => loading.mock.calls.length === 1);
    leaving.abort();
    await expect(response).rejects.toThrow('abort');
    // A request that comes later is prepared later.
    expect((await network.answer({ seed: 2 })).choices[0]?.message.content).toBe(ANSWER);
    expect(contributor.offers.map((offer) => offer.seedRoot)).toEqual(['seed:2']);
  });
});
