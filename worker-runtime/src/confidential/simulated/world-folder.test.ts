import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parsePolicy } from '@tussah/attestation/policy/policy';
import { Verifier } from '@tussah/attestation/verify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { SimulatedAttester } from './simulated-attester.ts';
import { openSimulatedWorld } from './world-folder.ts';

const NOW = Date.UTC(2026, 10, 1);
const DAY = 86_400_000;
const models = { 'tussah-tiny': { digest: '12'.repeat(32) } };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tussah-world-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const statement = (notAfterMs: number) => ({
  suite: 'x25519-hkdf-sha256-aes256gcm',
  hpkePublicKey: 'ab'.repeat(32),
  receiptKey: 'cd'.repeat(32),
  epochNonce: 'ef'.repeat(32),
  image: 'simulated-node',
  modelDigest: '12'.repeat(32),
  configDigest: '34'.repeat(32),
  notAfterMs,
});

it('is the same world for whoever opens it within a week, whose evidence its policy accepts to the end', async () => {
  const first = await openSimulatedWorld(folder, models, NOW);
  for (const ageMs of [0, DAY, 7 * DAY]) {
    const nowMs = NOW + ageMs;
    const again = await openSimulatedWorld(folder, {}, nowMs);
    expect(again.world.roots).toEqual(first.world.roots);
    for (const machine of ['tdx', 'snp'] as const) {
      const text = await new SimulatedAttester(again.world, () => nowMs, machine).attest(
        statement(nowMs + 3_600_000),
      );
      if (!text.ok) throw new Error(text.failure.message);
      const policy = parsePolicy(readFileSync(again.policyPath, 'utf8'));
      if (!policy.ok) throw new Error(policy.failure.message);
      expect(policy.value.models).toEqual(models);
      const verdict = await new Verifier().verify({ kind: 'bundle', text: text.value }, policy.value, nowMs);
      expect(verdict.steps.filter(({ status }) => status === 'failed')).toEqual([]);
      expect(verdict).toMatchObject({ verdict: 'accepted', claims: { simulated: true } });
    }
  }
});

it('is made anew after a week, and when it is damaged', async () => {
  const first = await openSimulatedWorld(folder, models, NOW);
  const second = await openSimulatedWorld(folder, models, NOW + 7 * DAY + 1);
  expect(second.world.roots).not.toEqual(first.world.roots);
  writeFileSync(join(folder, 'world.json'), '{');
  const third = await openSimulatedWorld(folder, {}, NOW + 8 * DAY);
  expect(third.world.roots).not.toEqual(second.world.roots);
  // Models of another world are not carried on.
  expect(third.policy.models).toEqual({});
});
