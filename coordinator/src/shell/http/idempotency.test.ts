/** A request that is sent again with the same Idempotency-Key neither runs nor costs again. */
import { describe, expect, it } from 'vitest';
import {
  all,
  collect,
  eventsOf,
  idsOf,
  piecesOf,
  says,
  startNetwork,
  temporaryFolder,
  until,
  type ChatOptions,
} from '../testing/harness.ts';

const ANSWER = '12 + 7 = 19.';
const CREDIT = '1000000000';
const again = (key?: string): ChatOptions => ({
  headers: { 'idempotency-key': 'order-1' },
  ...(key === undefined ? {} : { key }),
});

describe('Idempotency-Key', () => {
  it('joins a twin to the running answer, streamed or not, and bills once', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute(says(ANSWER, 10));
    const { key, account } = await network.account(CREDIT);
    const first = network.chat({ stream: true }, again(key));
    await until('the job runs', () => contributor.offers.length === 1);
    const [streamed, second, third] = await Promise.all([
      first.then(collect),
      network.answer({}, again(key)),
      network.chat({ stream: true }, again(key)).then(collect),
    ]);
    expect([streamed.text, second.choices[0]?.message.content, third.text]).toEqual([ANSWER, ANSWER, ANSWER]);
    expect(streamed.tussah).toEqual(second.tussah);
    expect(contributor.offers).toHaveLength(1);
    expect(await network.balanceOf(account)).toBe(BigInt(CREDIT) - BigInt(second.tussah.receipt.chargedNano));
  });

  it('starts one job for twins that arrive in the same moment', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute(says(ANSWER));
    const { key } = await network.account(CREDIT);
    const answers = await Promise.all(Array.from({ length: 8 }, () => network.answer({}, again(key))));
    expect(new Set(answers.map((answer) => answer.tussah.receipt.id)).size).toBe(1);
    expect(contributor.offers).toHaveLength(1);
  });

  it('repeats a finished answer, its receipt included', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute(says(ANSWER));
    const { key, account } = await network.account(CREDIT);
    const first = await network.answer({ seed: 3 }, again(key));
    const balance = await network.balanceOf(account);
    expect(await network.answer({ seed: 3 }, again(key))).toEqual(first);
    const response = await network.chat({ seed: 3, stream: true }, again(key));
    const events = await all(eventsOf(response));
    // The role, the whole text at once, and the end.
    expect(events.map((event) => event.choices?.[0]?.delta.content)).toEqual(['', ANSWER, undefined]);
    expect(events.at(-1)?.tussah).toEqual(first.tussah);
    expect(contributor.offers).toHaveLength(1);
    expect(await network.balanceOf(account)).toBe(balance);
  });

  it('refuses another request under the same key, while the first runs and after', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute(says(ANSWER, 10));
    const { key } = await network.account(CREDIT);
    const first = network.answer({}, again(key));
    await until('the job runs', () => contributor.offers.length === 1);
    const refuse = async () => {
      const response = await network.chat('Another question', again(key));
      expect(response.status).toBe(422);
      expect(await response.json()).toMatchObject({ error: { code: 'idempotency_key_reused' } });
    };
    await refuse();
    await first;
    await refuse();
    expect(contributor.offers).toHaveLength(1);
  });

  it('belongs to its account', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute(says(ANSWER));
    const [one, other] = [await network.account(CREDIT), await network.account(CREDIT)];
    const first = await network.answer({}, again(one.key));
    const second = await network.answer('Another question', again(other.key));
    const third = await network.answer({}, again());
    expect(new Set([first, second, third].map((answer) => answer.tussah.receipt.id)).size).toBe(3);
    expect(second.tussah.receipt.payer).toBe(other.account);
    expect(contributor.offers).toHaveLength(3);
  });

  it('is remembered over a restart: the answer is gone, and it says so instead of charging again', async () => {
    const dataFolder = temporaryFolder();
    const before = await startNetwork({ dataFolder });
    await before.contribute(says(ANSWER));
    const { key, account } = await before.account(CREDIT);
    const { tussah } = await before.answer({}, again(key));
    const balance = await before.balanceOf(account);
    await before.close();

    const after = await startNetwork({ dataFolder });
    const contributor = await after.contribute(says(ANSWER));
    const response = await after.chat({}, again(key));
    expect(response.status).toBe(409);
    expect(await response.json()).toMatchObject({
      error: { code: 'idempotency_result_expired', remedy: expect.stringContaining('new key') as string },
    });
    expect((await after.chat('Another question', again(key))).status).toBe(422);
    expect(contributor.offers).toHaveLength(0);
    expect(await after.balanceOf(account)).toBe(balance);
    expect(await after.get(`/v1/receipts/${tussah.receipt.id}`)).toEqual(tussah.receipt);
  });

  it('may be used again when the first attempt failed', async () => {
    const network = await startNetwork();
    const refused = await network.chat({ tussah: { maxWaitMs: 0 } }, again());
    expect(refused.status).toBe(503);
    await network.contribute(says(ANSWER));
    const answer = await network.answer({ tussah: { maxWaitMs: 0 } }, again());
    expect(answer.usage.completion_tokens).toBe(idsOf(ANSWER).length);
  });

  it('lets a client that lost its connection come back to the running answer', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute(() => piecesOf(ANSWER, 20));
    const leaving = new AbortController();
    const first = await network.chat({ stream: true }, { ...again(), signal: leaving.signal });
    const reader = eventsOf(first);
    await reader.next();
    leaving.abort();
    await expect(all(reader)).rejects.toThrow('abort');
    expect((await collect(await network.chat({ stream: true }, again()))).text).toBe(ANSWER);
    expect(contributor.offers).toHaveLength(1);
    expect(contributor.frames.map((frame) => frame.type)).not.toContain('job-cancel');
  });

  it.each([
    ['empty', ''],
    ['too long', 'k'.repeat(256)],
    ['with a space', 'a b'],
  ])('is refused when it is %s', async (_, value) => {
    const network = await startNetwork();
    const response = await network.chat({}, { headers: { 'idempotency-key': value } });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ error: { param: 'Idempotency-Key' } });
  });
});
