/** An answer ends, even if nobody ends it: with the real bound a test would take minutes. */
import type * as PrivateLimits from '@tussah/protocol/private/private-limits';
import { expect, it, vi } from 'vitest';
import { newTestJob, sealerOf } from './sealing-fixture.ts';

vi.mock('@tussah/protocol/private/private-limits', async (original) => {
  const { privateLimits } = await original<typeof PrivateLimits>();
  return { privateLimits: { ...privateLimits, chunks: 4 } };
});

it('has as many chunks as allowed, the last of them marked', async () => {
  const nonce = 'ab'.repeat(32);
  const job = await newTestJob('x25519-hkdf-sha256-aes256gcm', { nodes: 1 });
  const sealer = await sealerOf(job, 0, nonce);
  for (let i = 0; i < 3; i++) await sealer.seal({}, 64, false);
  await expect(sealer.seal({}, 64, false)).rejects.toThrow('no more chunks');
  expect((await sealer.seal({}, 64, true)).index).toBe(3);
});
