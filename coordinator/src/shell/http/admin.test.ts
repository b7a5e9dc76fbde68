/** `/v1/admin`: only for whoever holds the token, and money that is credited once. */
import { describe, expect, it } from 'vitest';
import { startNetwork, type TestNetwork } from '../testing/harness.ts';

describe('the token', () => {
  it.each([
    '/v1/admin/accounts',
    '/v1/admin/accounts?x=1',
    '/v1/%61dmin/accounts',
    '/v1/adm%69n/accounts',
    '/%76%31/admin/accounts',
    '/v1/admin%2Faccounts',
    '/v1/admin/accounts/',
    '/v1/./admin/accounts',
    '/V1/ADMIN/accounts',
    '//v1/admin/accounts',
  ])('guards %s', async (path) => {
    const network = await startNetwork();
    const { account } = await network.account('5');
    for (const authorization of [undefined, '', 'Bearer ', 'Bearer wrong', `Basic ${network.adminToken}`]) {
      const response = await fetch(`${network.url}${path}`, {
        headers: authorization === undefined ? {} : { authorization },
      });
      expect([400, 403, 404]).toContain(response.status);
      expect(await response.text()).not.toContain(account);
    }
  });

  it.each([
    ['POST', 'accounts', { name: 'x' }],
    ['POST', 'keys', { account: 'x' }],
    ['POST', 'credit', { account: 'guests', amountNano: '1', reference: 'x' }],
    ['DELETE', 'keys/key_x', undefined],
  ])('guards %s %s', async (method, path, body) => {
    const network = await startNetwork();
    const response = await fetch(`${network.url}/v1/admin/${path}`, {
      method,
      ...(body === undefined
        ? {}
        : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({ error: { code: 'forbidden' } });
  });
});

const post = (network: TestNetwork, path: string, body: unknown): Promise<Response> =>
  fetch(`${network.url}/v1/admin/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${network.adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

describe('credit', () => {
  it('is applied once for a reference, however often it is repeated', async () => {
    const network = await startNetwork();
    const { account } = await network.account('5');
    const body = { account, amountNano: '100', reference: 'invoice:1' };
    expect(await network.admin('POST', 'credit', body)).toEqual({ balanceNano: '105' });
    expect(await network.admin('POST', 'credit', body)).toEqual({ balanceNano: '105' });
    await network.admin('POST', 'credit', { ...body, reference: 'invoice:2' });
    expect(await network.balanceOf(account)).toBe(205n);
  });

  it('is applied once when repetitions arrive together, beside other credits', async () => {
    const network = await startNetwork();
    const { account } = await network.account('0');
    const requests = Array.from({ length: 20 }, (_, i) =>
      network.admin('POST', 'credit', { account, amountNano: '100', reference: `invoice:${i % 2}` }),
    );
    await Promise.all(requests);
    expect(await network.balanceOf(account)).toBe(200n);
  });

  it('is the same in the books after a restart', async () => {
    const network = await startNetwork();
    const { account } = await network.account('7');
    await network.stop();
    const after = await startNetwork({ dataFolder: network.dataFolder });
    expect(await after.balanceOf(account)).toBe(7n);
  });

  it.each([
    ['a reference used for another sum', 422, { amountNano: '2' }],
    ['nothing', 400, { amountNano: '0' }],
    ['a negative sum', 400, { amountNano: '-5' }],
    ['a sum above all there is', 400, { amountNano: '9000000000000000001', reference: 'y' }],
    [
      'sums that add up to more than an account holds',
      400,
      { amountNano: '9000000000000000000', reference: 'z' },
    ],
    ['an account that is not there', 404, { account: 'acct_none' }],
    ['a reference that is none', 400, { reference: 'a b' }],
    ['an unknown field', 400, { more: 1 }],
  ])('refuses %s and changes nothing', async (_, status, change) => {
    const network = await startNetwork();
    const { account } = await network.account('0');
    const body = { account, amountNano: '1', reference: 'x' };
    await network.admin('POST', 'credit', body);
    const response = await post(network, 'credit', { ...body, ...change });
    expect(response.status).toBe(status);
    expect(await network.balanceOf(account)).toBe(1n);
    expect(network.log.filter((line) => line.level >= 50)).toEqual([]);
  });
});

describe('accounts and keys', () => {
  it('are made, listed without secrets, and revoked', async () => {
    const network = await startNetwork();
    const made = await network.account('5', 'Ada');
    const second = await network.admin<{ keyId: string; key: string }>('POST', 'keys', {
      account: made.account,
    });
    await network.admin('DELETE', `keys/${made.keyId}`);
    const listed = JSON.stringify(await network.admin('GET', 'accounts'));
    expect(listed).toContain('"name":"Ada"');
    expect(listed).toContain(second.keyId);
    expect(listed).not.toContain(made.key);
    expect(listed).not.toContain(second.key);
  });

  it('are refused when they make no sense', async () => {
    const network = await startNetwork();
    expect((await post(network, 'accounts', { name: '' })).status).toBe(400);
    expect((await post(network, 'accounts', { name: 'x', weight: 0 })).status).toBe(400);
    expect((await post(network, 'accounts', { name: 'x', weight: null })).status).toBe(400);
    expect((await post(network, 'keys', { account: 'acct_none' })).status).toBe(404);
  });
});
