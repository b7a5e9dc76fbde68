/** What only a real browser can show: a key that stays, cannot be taken out, and one leader among tabs. */
import { domains, sign, verifySignature } from '@tussah/protocol/signatures';
import { afterAll, describe, expect, test } from 'vitest';
import { indexedDbIdentities, leaseName, webLockLeadership } from './identity.ts';

const database = `tussah-test-${crypto.randomUUID()}`;
afterAll(() => {
  indexedDB.deleteDatabase(database);
});

describe('the identity of a browser', () => {
  test('is made once, even when two tabs begin together', async () => {
    const both = await Promise.all([
      indexedDbIdentities(database).load(),
      indexedDbIdentities(database).load(),
    ]);
    const keys = both.map((result) => (result.ok ? result.value.publicKey : result.failure.code));
    expect(keys[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(keys[1]).toBe(keys[0]);
    const later = await indexedDbIdentities(database).load();
    expect(later).toMatchObject({ ok: true, value: { publicKey: keys[0] } });
  });

  test('signs after it was read back, and cannot be exported', async () => {
    const loaded = await indexedDbIdentities(database).load();
    if (!loaded.ok) throw new Error(loaded.failure.code);
    const { publicKey, privateKey } = loaded.value;
    const signature = await sign(loaded.value, domains.hello, { a: 1 });
    expect(await verifySignature(publicKey, domains.hello, { a: 1 }, signature)).toBe(true);
    expect(privateKey.extractable).toBe(false);
    await expect(crypto.subtle.exportKey('pkcs8', privateKey)).rejects.toThrow(DOMException);
  });
});

describe('the lease', () => {
  test('is held by one at a time', async () => {
    const name = leaseName(crypto.randomUUID());
    const lease = await webLockLeadership().acquire(name);
    expect(lease).not.toBeNull();
    expect(await webLockLeadership().acquire(name)).toBeNull();
    lease?.release();
    await expect.poll(async () => (await webLockLeadership().acquire(name)) !== null).toBe(true);
  });
});
