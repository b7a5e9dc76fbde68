/** Who may ask and who pays: API keys, guests, balances and what is held while an answer runs. */
import { formatTon } from '@tussah/protocol/money';
import { describe, expect, it } from 'vitest';
import { defaultCoreConfig } from '../../core/config.ts';
import {
  collect,
  idsOf,
  listCost,
  MODEL,
  piecesOf,
  says,
  startNetwork,
  until,
  type TestNetwork,
} from '../testing/harness.ts';

const ANSWER = '12 + 7 = 19.';

async function codeOf(response: Promise<Response>): Promise<string> {
  const received = await response;
  if (received.status === 200) return 'ok';
  const { error } = (await received.json()) as { error: { code: string } };
  return `${received.status} ${error.code}`;
}

const authorized = (network: TestNetwork, authorization: string): Promise<string> =>
  codeOf(network.chat({}, { headers: { authorization } }));

describe('a key', () => {
  it('asks for its account; none, or `guest`, asks as a guest', async () => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    const { key, account } = await network.account('1000000');
    const payerOf = async (used?: string) =>
      (await network.answer({}, used === undefined ? {} : { key: used })).tussah.receipt.payer;
    expect(await payerOf(key)).toBe(account);
    expect(await payerOf()).toBe('guest');
    expect(await payerOf('guest')).toBe('guest');
    expect(await authorized(network, `bearer   ${key}  `)).toBe('ok');
  });

  it.each([
    ['wrong', 'Bearer tsk_0000'],
    ['empty', 'Bearer '],
    ['missing', 'Bearer'],
    ['of another scheme', 'Basic Z3Vlc3Q6Z3Vlc3Q='],
    ['two keys', 'Bearer guest guest'],
    ['nothing', ''],
  ])('is refused when it is %s: %j', async (_, authorization) => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    expect(await authorized(network, authorization)).toBe('401 invalid_api_key');
  });

  it('ends the moment it is revoked; the account keeps its other keys', async () => {
    const network = await startNetwork();
    await network.contribute(says(ANSWER));
    const { key, keyId, account } = await network.account('1000000');
    const second = await network.admin<{ key: string }>('POST', 'keys', { account });
    await network.admin('DELETE', `keys/${keyId}`);
    expect(await codeOf(network.chat({}, { key }))).toBe('401 api_key_revoked');
    expect(await codeOf(network.chat({}, { key: second.key }))).toBe('ok');
    await network.stop();
    const after = await startNetwork({ dataFolder: network.dataFolder });
    expect(await codeOf(after.chat({}, { key }))).toBe('401 api_key_revoked');
  });
});

/** Held for `ask`, and paid for its answer. */
const HELD = listCost(17, 100);
const PAID = listCost(17, idsOf(ANSWER).length);
/** Enough for two answers of this kind, one after the other, and not for a third. */
const FUND = HELD + PAID + 1n;
const ask = { max_tokens: 100, tussah: { maxWaitMs: 2_000 } };

describe('a balance', () => {
  it('must cover the reservation, which is held while the answer runs and released after', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute(says(ANSWER, 20));
    await network.contribute(says(ANSWER));
    const { key, account } = await network.account(FUND.toString());
    const running = network.chat({ ...ask, stream: true }, { key });
    await until('it runs', () => contributor.offers.length === 1);
    expect(await codeOf(network.chat(ask, { key }))).toBe('402 insufficient_balance');
    await collect(await running);
    expect(await network.balanceOf(account)).toBe(FUND - PAID);
    expect(await codeOf(network.chat(ask, { key }))).toBe('ok');
    expect(await network.balanceOf(account)).toBe(FUND - 2n * PAID);
    expect(await codeOf(network.chat(ask, { key }))).toBe('402 insufficient_balance');
  });

  it('is whole again after refusals and after an answer that nobody could give', async () => {
    const network = await startNetwork();
    const { key, account } = await network.account(FUND.toString());
    expect(await codeOf(network.chat({ ...ask, tussah: { maxWaitMs: 0 } }, { key }))).toBe(
      '503 no_contributor',
    );
    expect(await codeOf(network.chat({ max_tokens: 1_020 }, { key }))).toBe('400 context_length_exceeded');
    await network.contribute(says(ANSWER));
    expect(await codeOf(network.chat(ask, { key }))).toBe('ok');
    expect(await network.balanceOf(account)).toBe(FUND - PAID);
  });

  it('pays for what was delivered when the client leaves, and has the rest back', async () => {
    const network = await startNetwork();
    const contributor = await network.contribute((offer) =>
      offer.stop.length > 0 ? piecesOf('ten '.repeat(80), 10) : piecesOf(ANSWER),
    );
    const { key, account } = await network.account(FUND.toString());
    const leaving = new AbortController();
    const response = await network.chat(
      { ...ask, stop: ['END'], stream: true },
      { key, signal: leaving.signal },
    );
    await response.body?.getReader().read();
    leaving.abort();
    const { tokens } = await contributor.frame('job-settled');
    const left = FUND - listCost(17, tokens);
    expect(await network.balanceOf(account)).toBe(left);
    expect(tokens).toBeLessThan(60);
    expect(await codeOf(network.chat({ max_tokens: 20 }, { key }))).toBe('ok');
  });
});

describe('guests', () => {
  it.each(['--guest-network-daily-ton', '--guest-daily-ton', '--guest-fund-ton'])(
    'cost at most %s, what running answers may cost included',
    async (flag) => {
      const network = await startNetwork({ flags: [flag, formatTon(FUND)] });
      const contributor = await network.contribute(says(ANSWER, 20));
      await network.contribute(says(ANSWER));
      const running = network.chat({ ...ask, stream: true });
      await until('it runs', () => contributor.offers.length === 1);
      expect(await codeOf(network.chat(ask))).toBe('429 guest_budget_exhausted');
      await collect(await running);
      expect(await codeOf(network.chat(ask))).toBe('ok');
      expect(await codeOf(network.chat(ask))).toBe('429 guest_budget_exhausted');
      expect(await codeOf(network.chat({ ...ask, max_tokens: 50 }))).toBe('ok');
      const { key } = await network.account(FUND.toString());
      expect(await codeOf(network.chat(ask, { key }))).toBe('ok');
    },
  );

  it('run so many answers at once and no more', async () => {
    const { guests } = defaultCoreConfig;
    if (guests === null) throw new Error('guests are on by default');
    const network = await startNetwork({ core: { guests: { ...guests, concurrentPerNetwork: 2 } } });
    const [one, two] = [
      await network.contribute(says(ANSWER, 20)),
      await network.contribute(says(ANSWER, 20)),
    ];
    const running = [network.answer(ask), network.answer(ask)];
    await until('both run', () => one.offers.length + two.offers.length === 2);
    expect(await codeOf(network.chat(ask))).toBe('429 rate_limited');
    await Promise.all(running);
    expect(await codeOf(network.chat(ask))).toBe('ok');
  });

  it('send so many requests at once and no more; accounts are not held up', async () => {
    const network = await startNetwork();
    const codes = await Promise.all(Array.from({ length: 75 }, () => codeOf(network.chat({ n: 2 }))));
    expect(codes.filter((code) => code === '400 unsupported_parameter').length).toBeGreaterThanOrEqual(60);
    expect(codes).toContain('429 rate_limited');
    const { key } = await network.account(FUND.toString());
    expect(await codeOf(network.chat({ n: 2 }, { key }))).toBe('400 unsupported_parameter');
  });

  it('are not served where no money is set aside', async () => {
    const network = await startNetwork({ flags: ['--guest-fund-ton', '0'] });
    await network.contribute(says(ANSWER));
    const response = await network.chat(ask);
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({ error: { code: 'invalid_api_key', message: /no guests/ } });
    const { guests } = await network.get<{ guests: unknown }>('/v1/network');
    expect(guests).toEqual({ accepted: false, remainingNano: '0' });
  });

  it('get a bounded answer when they name no bound', async () => {
    const { guests } = defaultCoreConfig;
    if (guests === null) throw new Error('guests are on by default');
    const network = await startNetwork({ core: { guests: { ...guests, maxTokens: 33 } } });
    const contributor = await network.contribute(says(ANSWER));
    expect(await codeOf(network.chat({ model: MODEL }))).toBe('ok');
    expect(contributor.offers[0]?.maxTokens).toBe(33);
    expect(await codeOf(network.chat({ max_tokens: 34 }))).toBe('400 context_length_exceeded');
  });

  const from = (network: TestNetwork, forwarded: string): Promise<string> =>
    codeOf(network.chat(ask, { headers: { 'x-forwarded-for': forwarded } }));

  it('are told apart behind a proxy by the address that the proxy itself saw', async () => {
    const flags = ['--trust-proxy', 'true', '--guest-network-daily-ton', formatTon(HELD + 1n)];
    const network = await startNetwork({ flags });
    await network.contribute(says(ANSWER));
    expect(await from(network, '192.0.2.1')).toBe('ok');
    expect(await from(network, '198.51.100.7, 192.0.2.1')).toBe('429 guest_budget_exhausted');
    expect(await from(network, '192.0.2.2')).toBe('ok');
  });

  it('cannot pass for others where there is no proxy', async () => {
    const network = await startNetwork({ flags: ['--guest-network-daily-ton', formatTon(HELD + 1n)] });
    await network.contribute(says(ANSWER));
    expect(await from(network, '192.0.2.1')).toBe('ok');
    expect(await from(network, '192.0.2.2')).toBe('429 guest_budget_exhausted');
  });
});
