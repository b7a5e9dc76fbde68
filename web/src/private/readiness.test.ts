import type { NodeView, RejectedNode } from '@tussah/client/private/nodes';
import { privateFailure } from '@tussah/client/private/failures';
import { describe, expect, it } from 'vitest';
import type { Readiness } from './desk-api.ts';
import { current, newsOf, pricesOf, summaryOf } from './readiness.ts';

const MINUTE = 60_000;
const NOW = 1_000 * MINUTE;
const node = (more: Partial<NodeView> = {}): NodeView => ({
  bundle: 'ab'.repeat(32),
  identity: 'cd'.repeat(32),
  machine: 'tdx',
  gpus: ['GH100'],
  image: 'node-1',
  modelDigest: 'ef'.repeat(32),
  suite: 'x25519-hkdf-sha256-aes256gcm',
  price: { promptNanoPerMillion: '50000000', completionNanoPerMillion: '200000000' },
  contextTokens: 4096,
  simulated: false,
  joinedAtMs: NOW - 4 * MINUTE,
  notAfterMs: NOW + 56 * MINUTE,
  verdict: { verdict: 'accepted', steps: [], claims: {} },
  ...more,
});
const rejected: RejectedNode = { bundle: '', code: 'evidence_rejected', reason: '', verdict: null };
const readiness = (more: Partial<Readiness> = {}): Readiness => ({
  model: 'm',
  head: null,
  nodes: [node()],
  rejected: [],
  simulated: false,
  notProtected: [],
  policy: { source: 'own', name: 'mine', images: ['node-1'], simulated: false },
  atMs: NOW - 12_000,
  failure: null,
  ...more,
});

describe('summaryOf', () => {
  it.each([
    ['one machine', {}, '1 machine verified 12 s ago, evidence 4 min old.'],
    [
      'several, of which some were not accepted',
      { nodes: [node(), node({ joinedAtMs: NOW - 9 * MINUTE }), node()], rejected: [rejected] },
      '3 of 4 machines verified 12 s ago, evidence 9 min old.',
    ],
    [
      'evidence about to end',
      { nodes: [node({ notAfterMs: NOW + 90_000 })] },
      '1 machine verified 12 s ago, evidence 4 min old, ends in 2 min.',
    ],
  ])('counts %s, with ages', (_, more, sentence) => {
    expect(summaryOf(readiness(more), NOW)).toEqual({ tone: 'ready', sentence, remedy: null });
  });

  it('is simulated as soon as one machine is', () => {
    expect(summaryOf(readiness({ nodes: [node(), node({ simulated: true })] }), NOW).tone).toBe('simulated');
  });

  it.each([
    [
      'a policy without images',
      { nodes: [], policy: { source: 'strict', name: 'tussah-strict', images: [], simulated: false } },
      'names no image yet',
    ],
    [
      'a model that the policy does not name',
      { nodes: [], failure: privateFailure('model_not_in_policy') },
      'does not name this model',
    ],
    [
      'nobody there',
      { nodes: [], failure: privateFailure('no_node') },
      'No confidential machine offers this model',
    ],
    [
      'nobody accepted',
      { nodes: [], rejected: [rejected, rejected], failure: privateFailure('evidence_rejected') },
      '0 of 2 machines verified: the policy “mine” rejects',
    ],
    ['evidence that has ended since', { nodes: [node({ notAfterMs: NOW })] }, 'has ended'],
  ] as const)('refuses with %s, and says what to do', (_, more, part) => {
    const summary = summaryOf(readiness(more), NOW);
    expect(summary.tone).toBe('refused');
    expect(summary.sentence).toContain(part);
    expect(summary.remedy).not.toBeNull();
  });
});

it('tells no ages, so that growing older is no news', () => {
  expect(newsOf(readiness())).toBe('1 of 1 machine verified.');
  expect(newsOf(readiness({ atMs: NOW }))).toBe(newsOf(readiness()));
});

it('counts a machine only until its evidence ends', () => {
  expect(current(readiness(), NOW + 55 * MINUTE)).toHaveLength(1);
  expect(current(readiness(), NOW + 56 * MINUTE)).toEqual([]);
});

it('shows the span of prices, the cheapest first', () => {
  const dear = { promptNanoPerMillion: '60000000', completionNanoPerMillion: '300000000' };
  expect(pricesOf(readiness())).toBe('0.05 in, 0.2 out TON per million tokens.');
  expect(pricesOf(readiness({ nodes: [node({ price: dear }), node()] }))).toBe(
    'From 0.05 in, 0.2 out to 0.06 in, 0.3 out TON per million tokens.',
  );
});
