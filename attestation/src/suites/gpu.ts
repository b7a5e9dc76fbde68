/** GPUs: simulated evidence that is right, and what policies make of it. */
import { hexOf } from '@tussah/protocol/bytes';
import { describe, expect, it } from 'vitest';
import type { Policy } from '../policy/policy.ts';
import { oidOf, sequence } from '../simulated/der-writer.ts';
import { makeGpu, type GpuChanges } from '../simulated/gpu.ts';
import { section, verdictOf, withGpu } from '../testing/gpu.ts';
import { failed, NOW, otherWorld, policy, world } from '../testing/world.ts';
import { Verifier } from '../verify.ts';

const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
const [, device] = world.nvidia.keys;
if (device === undefined) throw new Error('the simulated device has a key');
const chipId = hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', device.spki)));
const right = ['b6'.repeat(48)];
function withMeasurements(change: Record<number, string[] | undefined>, ignored: number[] = []): Policy {
  const references = section?.references.map((reference) => {
    const measurements = Object.entries({ ...reference.measurements, ...change }).filter(
      (entry): entry is [string, string[]] => entry[1] !== undefined,
    );
    return { ...reference, measurements: Object.fromEntries(measurements), ignored };
  });
  return withGpu({ references: references ?? [] });
}

describe('GPU evidence that is right', () => {
  it.each([
    ['with OCSP responses by an authorised responder', {}],
    ['with OCSP responses by the issuers themselves', { ocsp: { byIssuer: true } }],
    ['with a responder named by its key', { ocsp: { byKeyHash: true } }],
    ["with NVIDIA's tokens", { nras: {} }],
    ['with firmware that does not know field 36', { opaque: { 36: undefined } }],
    ['passed through together with others', { opaque: { 36: Uint8Array.of(1, 0) } }],
    [
      'with OCSP answers of this hour that do not say when the next ones come',
      { ocsp: { thisUpdateMs: NOW - 3_600_000, nextUpdateMs: null } },
    ],
    [
      'with the first video decoder off, whose measurement then means nothing',
      { measurements: { 36: new Uint8Array(48) } },
    ],
    [
      'with a critical extended key usage',
      {
        ocsp: {
          responder: {
            extensions: [{ id: '2.5.29.37', critical: true, value: sequence(oidOf(OCSP_SIGNING)) }],
          },
        },
      },
    ],
  ] satisfies [string, GpuChanges][])('is accepted: %s', async (_, changes) => {
    const verdict = await verdictOf(changes);
    expect(failed(verdict)).toEqual([]);
    expect(verdict).toMatchObject({
      verdict: 'accepted',
      claims: { simulated: true, model: 'GH100', mode: 'passthrough' },
    });
  });

  it('protected PCIe is accepted only where the policy names it', async () => {
    const pcie = { opaque: { 21: Uint8Array.of(0xaa), 36: Uint8Array.of(2, 0) } };
    const old = { opaque: { 21: Uint8Array.of(0xaa), 36: undefined } };
    for (const changes of [pcie, old]) {
      expect((await verdictOf(changes, withGpu({ modes: ['protected-pcie'] }))).verdict).toBe('accepted');
      expect(failed(await verdictOf(changes))).toEqual(['gpu.mode']);
      expect(
        failed(
          await new Verifier().verify(
            { kind: 'gpu', ...(await makeGpu(world.nvidia, changes)) },
            undefined,
            NOW,
          ),
        ),
      ).toEqual(['gpu.chain.root', 'gpu.mode']);
    }
  });

  it('lists what needs a policy as unchecked without one', async () => {
    const made = await makeGpu(world.nvidia);
    const verdict = await new Verifier().verify({ kind: 'gpu', ...made }, undefined, NOW);
    expect(failed(verdict)).toEqual(['gpu.chain.root']);
    const unchecked = verdict.steps
      .filter(({ id, status }) => status === 'unchecked' && !id.includes('nras'))
      .map(({ id }) => id);
    expect(unchecked).toEqual(
      ['policy', 'collateral-age', 'model', 'platform', 'firmware', 'measurements'].map((id) => `gpu.${id}`),
    );
  });
});

describe('GPU evidence that is wrong in one thing is rejected at that step', () => {
  it('a nonce that was not asked for', async () => {
    const made = await makeGpu(world.nvidia);
    const verdict = await new Verifier().verify(
      { kind: 'gpu', ...made, nonce: new Uint8Array(32) },
      policy,
      NOW,
    );
    expect(failed(verdict)).toEqual(['gpu.nonce']);
  });

  it.each([policy, undefined])('revocation that is unknown', async (use) => {
    const verdict = await verdictOf({ withoutRevocation: true }, use);
    expect(verdict.verdict).toBe('rejected');
    expect(verdict.steps.find(({ id }) => id === 'gpu.revocation')?.status).toBe('unchecked');
  });

  const strict: [string, Policy, string[]][] = [
    ['a policy without GPUs', { ...policy, gpu: undefined }, ['policy']],
    ['a policy that names no simulated root', { ...policy, simulatedRoots: [] }, ['chain.root']],
    ['a policy for other models', withGpu({ models: ['GB100'] }), ['model']],
    ['a policy for other GPUs', withGpu({ platforms: ['00'.repeat(32)] }), ['platform']],
    ['a measurement that the report lacks', withMeasurements({ 65: right }), ['measurements']],
    ['a measurement that the reference lacks', withMeasurements({ 64: undefined }), ['measurements']],
    [
      'a measurement that is ignored where another one is wrong',
      withMeasurements({ 63: ['00'.repeat(48)] }, [64]),
      ['measurements'],
    ],
  ];
  it.each(strict)('%s', async (_, use, ids) => {
    const verdict = await verdictOf({}, use);
    expect(failed(verdict)).toEqual(ids.map((id) => `gpu.${id}`));
    expect(verdict.verdict).toBe('rejected');
  });

  it('a policy that lists the GPU, and one of several references, is met', async () => {
    const [reference] = section.references;
    if (reference === undefined) throw new Error('the simulated policy has a reference');
    const other = { ...reference, measurements: { 1: ['00'.repeat(48)] } };
    const use = withGpu({ platforms: [chipId], references: [other, ...section.references] });
    expect((await verdictOf({}, use)).verdict).toBe('accepted');
  });

  it('a measurement that the policy ignores may be anything, or missing from the reference', async () => {
    const wrong = { measurements: { 64: new Uint8Array(48) } };
    expect((await verdictOf(wrong, withMeasurements({}, [64]))).verdict).toBe('accepted');
    expect((await verdictOf(wrong, withMeasurements({ 64: undefined }, [64]))).verdict).toBe('accepted');
  });

  it('a chip is known by what NVIDIA certifies, whatever its leaf says', async () => {
    const clone = { deviceKey: otherWorld.nvidia.keys[1], certificates: { 0: { commonName: 'GB100 A01' } } };
    const listed = withGpu({ platforms: [chipId] });
    for (const [changes, ids] of [
      [clone, ['gpu.platform']],
      [{ certificates: { 0: { serial: 7, commonName: 'GB100 A01' } } }, []],
      [{ certificates: { 0: { issuerName: 'GB100 A01' }, 1: { commonName: 'GB100 A01' } } }, ['gpu.model']],
    ] as [GpuChanges, string[]][])
      expect(failed(await verdictOf(changes, listed))).toEqual(ids);
  });

  it('tokens need keys in the policy', async () => {
    expect(failed(await verdictOf({ nras: {} }, withGpu({ nrasKeys: [] })))).toEqual(['gpu.nras.key']);
    const [key] = section.nrasKeys;
    const broken = { kty: 'EC', crv: 'P-384', kid: 'simulated', x: key?.x ?? '', y: key?.x ?? '' } as const;
    expect(failed(await verdictOf({ nras: {} }, withGpu({ nrasKeys: [broken] })))).toEqual([
      'gpu.nras.signature',
    ]);
  });
});
