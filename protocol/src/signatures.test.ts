import { createPublicKey, verify } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { domains, newIdentity, sign, verifySignature, type Identity } from './signatures.ts';

describe('signatures', () => {
  let identity: Identity;
  let other: Identity;
  beforeAll(async () => {
    [identity, other] = await Promise.all([newIdentity(), newIdentity()]);
  });
  const statement = { b: 1, a: 'text' };

  it('are Ed25519 (RFC 8032) over the domain line and the canonical text', async () => {
    const signature = await sign(identity, domains.receipt, statement);
    const x = Buffer.from(identity.publicKey, 'hex').toString('base64url');
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    const message = Buffer.from('tussah-receipt/1\n{"a":"text","b":1}');
    expect(verify(null, message, key, Buffer.from(signature, 'hex'))).toBe(true);
  });

  it('hold for the same statement, whatever the order of its members', async () => {
    const signature = await sign(identity, domains.hello, statement);
    expect(await verifySignature(identity.publicKey, domains.hello, { a: 'text', b: 1 }, signature)).toBe(
      true,
    );
  });

  it('are worthless in every other domain', async () => {
    const names = Object.values(domains);
    expect(new Set(names).size).toBe(names.length);
    for (const signed of names) {
      const signature = await sign(identity, signed, statement);
      for (const claimed of names)
        expect(await verifySignature(identity.publicKey, claimed, statement, signature)).toBe(
          signed === claimed,
        );
    }
  });

  it('do not hold for another key, another statement or another bit', async () => {
    const signature = await sign(identity, domains.segment, statement);
    expect(await verifySignature(other.publicKey, domains.segment, statement, signature)).toBe(false);
    expect(
      await verifySignature(identity.publicKey, domains.segment, { ...statement, b: 2 }, signature),
    ).toBe(false);
    await fc.assert(
      fc.asyncProperty(fc.nat(63), fc.nat(7), async (byte, bit) => {
        const bytes = Buffer.from(signature, 'hex');
        bytes[byte] = (bytes[byte] ?? 0) ^ (1 << bit);
        expect(
          await verifySignature(identity.publicKey, domains.segment, statement, bytes.toString('hex')),
        ).toBe(false);
      }),
      { numRuns: 50 },
    );
  });

  it.each(['', 'zz', '00', '0'.repeat(127), '0'.repeat(128), 'f'.repeat(128), '0'.repeat(130)])(
    'are not %j',
    async (text) => {
      expect(await verifySignature(identity.publicKey, domains.segment, statement, text)).toBe(false);
      expect(await verifySignature(text, domains.segment, statement, '0'.repeat(128))).toBe(false);
    },
  );

  it('are refused, without throwing, over what has no canonical form', async () => {
    const signature = await sign(identity, domains.segment, statement);
    expect(await verifySignature(identity.publicKey, domains.segment, '\ud800', signature)).toBe(false);
  });

  it('come from keys that stay where they were made, unless wanted otherwise', async () => {
    expect(identity.privateKey.extractable).toBe(false);
    expect((await newIdentity(true)).privateKey.extractable).toBe(true);
  });
});
