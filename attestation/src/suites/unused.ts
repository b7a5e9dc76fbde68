/** What decides nothing is not authenticated: a bundle must not carry it, while files of other tools may. */
import { describe, expect, it } from 'vitest';
import type { Bundle } from '../bundle/bundle.ts';
import { utf8 } from '../bytes/bytes.ts';
import { fromBase64, fromHex, toBase64 } from '../bytes/text-encodings.ts';
import { makeBundle, type BundleChanges } from '../simulated/bundle.ts';
import { pem } from '../simulated/certificates.ts';
import { makeGpu } from '../simulated/gpu.ts';
import { makeTdx } from '../simulated/tdx.ts';
import { failed, NOW, otherWorld, policy, world } from '../testing/world.ts';
import { Verifier, type Evidence } from '../verify.ts';

describe('a bundle with something in it that decides nothing is rejected', () => {
  const change = (text: (encoded: string) => string) => (encoded: string) =>
    toBase64(utf8(text(new TextDecoder().decode(fromBase64(encoded, 'x')))));
  const ocspOf = ({ gpus: [gpu] }: Bundle) =>
    gpu !== undefined && 'ocsp' in gpu.revocation ? gpu.revocation.ocsp : [];
  const withGpu = (bundle: Bundle, part: Partial<Bundle['gpus'][number]>): Bundle => ({
    ...bundle,
    gpus: bundle.gpus.map((gpu) => ({ ...gpu, ...part })),
  });
  const withMachine = (bundle: Bundle, part: object): Bundle => ({
    ...bundle,
    machine: { ...bundle.machine, ...part },
  });
  const tdxOf = ({ machine }: Bundle) => {
    if (machine.kind !== 'tdx') throw new Error('a TDX machine was expected');
    return { ...machine, collateral: machine.collateral as Record<string, string> };
  };
  const snpOf = ({ machine }: Bundle) => {
    if (machine.kind !== 'snp') throw new Error('an SEV-SNP machine was expected');
    return machine;
  };
  const before = change((text) => `x${text}`);

  const cases: [string, BundleChanges, (bundle: Bundle, other: Bundle) => Bundle, string[]][] = [
    [
      'an OCSP response about the certificate of another device',
      {},
      (bundle, other) =>
        withGpu(bundle, { revocation: { ocsp: [...ocspOf(bundle), ...ocspOf(other).slice(0, 1)] } }),
      ['bundle.nothing-unused'],
    ],
    [
      'an OCSP response twice',
      {},
      (bundle) =>
        withGpu(bundle, { revocation: { ocsp: [...ocspOf(bundle), ...ocspOf(bundle).slice(0, 1)] } }),
      ['bundle.nothing-unused'],
    ],
    [
      'a token of another GPU',
      { gpus: [{ nras: {} }] },
      (bundle) => {
        const [gpu] = bundle.gpus;
        if (gpu === undefined || !('nras' in gpu.revocation)) throw new Error('tokens were expected');
        const [overall, tokens] = gpu.revocation.nras;
        const more = { ...tokens, 'GPU-1': tokens['GPU-0'] ?? '' };
        return withGpu(bundle, { revocation: { nras: [overall, more] } });
      },
      ['bundle.nothing-unused'],
    ],
    [
      'padding behind the quote',
      { tdx: { trailing: new Uint8Array(70) } },
      (bundle) => bundle,
      ['bundle.nothing-unused'],
    ],
    [
      'a member of the collateral that nobody knows',
      {},
      (bundle) =>
        withMachine(bundle, { collateral: { ...tdxOf(bundle).collateral, pck_crl_issuer_chain: '' } }),
      ['bundle.nothing-unused'],
    ],
    [
      'text in front of a chain in PEM',
      {},
      (bundle) => withGpu(bundle, { certificates: before(bundle.gpus[0]?.certificates ?? '') }),
      ['bundle.one-world', 'gpu-0.chain.format', 'gpu-0.collateral-age'],
    ],
    [
      'text in front of a CRL in PEM',
      {},
      (bundle) => {
        const { collateral } = tdxOf(bundle);
        const crl = `x${pem('X509 CRL', fromHex(collateral['pck_crl'] ?? '', 'x'))}`;
        return withMachine(bundle, { collateral: { ...collateral, pck_crl: crl } });
      },
      ['tdx.pck-crl.format', 'tdx.collateral-age'],
    ],
    [
      'a CRL in PEM',
      { machine: 'snp' },
      (bundle) =>
        withMachine(bundle, { crl: toBase64(utf8(pem('X509 CRL', fromBase64(snpOf(bundle).crl, 'x')))) }),
      ['bundle.format'],
    ],
    [
      'text in front of the ASK',
      { machine: 'snp' },
      (bundle) => withMachine(bundle, { chain: before(snpOf(bundle).chain) }),
      ['bundle.one-world', 'snp.chain.format'],
    ],
    [
      'an event with a member that nobody knows',
      {},
      (bundle) =>
        withMachine(bundle, {
          eventLog: {
            format: 'dstack',
            events: [
              { imr: 0, event_type: 1, digest: '00'.repeat(48), event: '', event_payload: '', more: 1 },
            ],
          },
        }),
      ['bundle.event-log.format'],
    ],
  ];
  it.each(cases)('%s', async (_, changes, alter, ids) => {
    const [bundle, other] = await Promise.all([makeBundle(world, changes), makeBundle(otherWorld)]);
    const text = JSON.stringify(alter(bundle, other));
    const verdict = await new Verifier().verify({ kind: 'bundle', text }, policy, NOW);
    expect(failed(verdict).sort()).toEqual(ids.toSorted());
    expect(verdict.verdict).toBe('rejected');
  });

  it('while a single piece may come as other tools write it', async () => {
    const { collateral, ...tdx } = await makeTdx(world.intel, { trailing: new Uint8Array(70) });
    const more = { ...collateral, pck_crl_issuer_chain: '' };
    const { revocation, ...gpu } = await makeGpu(world.nvidia);
    const ocsp = revocation !== undefined && 'ocsp' in revocation ? revocation.ocsp : [];
    const pieces: Evidence[] = [
      { kind: 'tdx', ...tdx, collateral: more },
      { kind: 'gpu', ...gpu, revocation: { ocsp: [...ocsp, ...ocsp] } },
    ];
    for (const evidence of pieces)
      expect(failed(await new Verifier().verify(evidence, policy, NOW))).toEqual([]);
  });
});
