/** The policy for whoever has none: it accepts nothing, in an orderly way. */
import { readFileSync } from 'node:fs';
import { parsePolicy } from '@tussah/attestation/policy/policy';
import { Verifier } from '@tussah/attestation/verify';
import { expect, it } from 'vitest';
import { clientOf, codeOf, network, NOW } from './testing/asking.ts';

const read = parsePolicy(readFileSync(new URL('../../policies/strict.json', import.meta.url), 'utf8'));
if (!read.ok) throw new Error(read.failure.message);
const strict = read.value;

it('asks nobody, since it names no model', async () => {
  const { coordinator } = await network();
  expect(await codeOf(clientOf(coordinator, { policy: strict }))).toBe('model_not_in_policy');
  expect(coordinator.seen).toEqual([]);
});

it('rejects evidence, whatever model is asked for', async () => {
  const { nodes } = await network();
  const text = nodes[0]?.text ?? '';
  expect((await new Verifier().verify({ kind: 'bundle', text }, strict, NOW)).verdict).toBe('rejected');
  expect(strict.simulatedRoots).toEqual([]);
});
