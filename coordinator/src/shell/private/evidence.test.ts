/** The queue for verification: whoever has left takes no time, and what waits takes a bounded room. */
import { newSimulatedWorld, simulatedPolicy } from '@tussah/attestation/simulated/bundle';
import { expect, it } from 'vitest';
import { SignatureChecker } from '../signer.ts';
import { EvidenceChecker } from './evidence.ts';

const key = 'c0'.repeat(32);
const policy = simulatedPolicy(await newSimulatedWorld(Date.now()));
const newChecker = () => new EvidenceChecker(policy, key, new SignatureChecker(), Date.now);
const megabyte = 'x'.repeat(1_048_576);

const evidence = (bundle: string) => ({
  identity: key,
  epochNonce: key,
  bundle,
  offer: {
    coordinator: key,
    identity: key,
    bundle: key,
    epochNonce: key,
    model: 'm',
    price: { promptNanoPerMillion: '1', completionNanoPerMillion: '1' },
    contextTokens: 1,
    concurrency: 1,
  },
  signature: '0'.repeat(128),
});

const codeOf = async (checked: ReturnType<EvidenceChecker['check']>): Promise<string> => {
  const result = await checked;
  return result.ok ? 'ok' : result.failure.code;
};

it('does not verify for connections that have gone meanwhile', async () => {
  const checker = newChecker();
  const asked: string[] = [];
  const check = (name: string, isThere: boolean) =>
    codeOf(
      checker.check(evidence('{}'), () => {
        asked.push(name);
        return isThere;
      }),
    );
  const all = [check('a', true), check('b', true), check('gone', false), check('c', true)];
  // What waits is not asked before its turn.
  expect(asked).toEqual(['a', 'b']);
  expect(await Promise.all(all)).toEqual([
    'evidence_rejected',
    'evidence_rejected',
    'too_many_attestations',
    'evidence_rejected',
  ]);
});

it('lets so much wait, refuses what is above it at once, and takes more once that is done', async () => {
  const checker = newChecker();
  const all = Array.from({ length: 140 }, () => codeOf(checker.check(evidence(megabyte), () => true)));
  const codes = await Promise.all(all);
  expect(codes.filter((code) => code === 'too_many_attestations')).toHaveLength(140 - 128 - 2);
  expect(await codeOf(checker.check(evidence(megabyte), () => true))).toBe('evidence_rejected');
});
