/** What a verifier remembers of bundles, and what it shares with its callers. */
import { describe, expect, it } from 'vitest';
import { limits } from '../limits.ts';
import { makeBundle } from '../simulated/bundle.ts';
import { failed, NOW, policy, world } from '../testing/world.ts';
import { Verifier } from '../verify.ts';

describe('what is remembered', () => {
  it('an accepted bundle is not verified again while nothing can have changed', async () => {
    const text = JSON.stringify(await makeBundle(world));
    const verifier = new Verifier();
    const first = await verifier.verify({ kind: 'bundle', text }, policy, NOW);
    expect(await verifier.verify({ kind: 'bundle', text }, policy, NOW + 1)).toBe(first);
    const later = await verifier.verify({ kind: 'bundle', text }, policy, NOW + 3_600_001);
    expect(failed(later)).toEqual(['bundle.not-after']);
    expect(await verifier.verify({ kind: 'bundle', text }, policy, NOW)).toBe(first);
  });

  it('but is for another policy, other expectations, an earlier moment, and when it was rejected', async () => {
    const text = JSON.stringify(await makeBundle(world));
    const verifier = new Verifier();
    await verifier.verify({ kind: 'bundle', text }, policy, NOW);
    expect(
      (await verifier.verify({ kind: 'bundle', text }, { ...policy, simulatedRoots: [] }, NOW)).verdict,
    ).toBe('rejected');
    for (const expected of [{ modelDigest: '00'.repeat(32) }, { modelDigest: '' }, { epochNonce: '' }])
      expect((await verifier.verify({ kind: 'bundle', text, expected }, policy, NOW)).verdict).toBe(
        'rejected',
      );
    expect((await verifier.verify({ kind: 'bundle', text }, policy, NOW - 40 * 86_400_000)).verdict).toBe(
      'rejected',
    );
    const bad = JSON.stringify(await makeBundle(world, { gpus: [] }));
    const rejected = await verifier.verify({ kind: 'bundle', text: bad }, policy, NOW);
    expect(await verifier.verify({ kind: 'bundle', text: bad }, policy, NOW)).not.toBe(rejected);
    expect(await verifier.verify({ kind: 'bundle', text: bad }, policy, NOW)).toEqual(rejected);
  });
});

describe('what callers hold', () => {
  it('can not be changed any more once it is shared: the policy, and a remembered verdict', async () => {
    const text = JSON.stringify(await makeBundle(world));
    const own = structuredClone(policy);
    const verdict = await new Verifier().verify({ kind: 'bundle', text }, own, NOW);
    expect(() => own.images.pop()).toThrow(TypeError);
    expect(() => Object.assign(verdict.steps[0] ?? {}, { status: 'failed' })).toThrow(TypeError);
  });

  it('is not kept without end', async () => {
    const text = JSON.stringify(await makeBundle(world));
    const verifier = new Verifier();
    const first = await verifier.verify({ kind: 'bundle', text }, policy, NOW);
    const padded = (n: number) => text.padEnd(limits.bundleCharacters - n);
    const many = Math.ceil(limits.rememberedBundleCharacters / limits.bundleCharacters);
    for (let n = 0; n < many; n++) await verifier.verify({ kind: 'bundle', text: padded(n) }, policy, NOW);
    const last = await verifier.verify({ kind: 'bundle', text: padded(many - 1) }, policy, NOW);
    expect(await verifier.verify({ kind: 'bundle', text: padded(many - 1) }, policy, NOW)).toBe(last);
    const again = await verifier.verify({ kind: 'bundle', text }, policy, NOW);
    expect(again).not.toBe(first);
    expect(again).toEqual(first);
  });
});
