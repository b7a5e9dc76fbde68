/** Real GPU evidence: every vector has its known verdict, with the right steps named. */
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { fromBase64, fromHex } from '../bytes/text-encodings.ts';
import { parseToken, verifyEs384 } from '../nvidia/jwt.ts';
import { DetachedEatSchema } from '../nvidia/revocation.ts';
import { parseSpdmReport } from '../nvidia/spdm.ts';
import type { Policy } from '../policy/policy.ts';
import { real, unchecked, verify } from '../testing/real-evidence.ts';
import { vector, vectorJson, vectorText, withVectors } from '../testing/vectors.ts';
import { failed, policy as simulated } from '../testing/world.ts';

describe('real GPU evidence', () => {
  const at = '2026-06-01T00:00:00Z';
  const evidenceSchema = v.array(
    v.object({ certificate: v.string(), evidence: v.string(), nonce: v.string() }),
  );
  const gpu = async (path: string) => {
    const [one] = v.parse(evidenceSchema, await vectorJson(path));
    if (one === undefined) throw new Error('no evidence');
    return {
      kind: 'gpu' as const,
      report: fromBase64(one.evidence, 'evidence'),
      certificates: fromBase64(one.certificate, 'certificate'),
      nonce: fromHex(one.nonce, 'nonce'),
    };
  };
  const nvtrust = async () => {
    const report = fromHex(
      (await vectorText('nvidia/nvtrust/hopperAttestationReport.txt')).replace(/\s/g, ''),
      'report',
    );
    return {
      kind: 'gpu' as const,
      report,
      certificates: await vector('nvidia/nvtrust/hopperCertChain.txt'),
      nonce: parseSpdmReport(report).nonce,
    };
  };

  it(
    'genuine, in protected PCIe mode, of unknown revocation: rejected',
    withVectors(async () => {
      const verdict = await verify(await gpu('nvidia/hopper_evidence.json'), at);
      expect(failed(verdict)).toEqual(['gpu.mode']);
      expect(unchecked(verdict)).toContain('gpu.revocation');
      expect(verdict).toMatchObject({
        verdict: 'rejected',
        claims: { simulated: false, driver: '590.12', mode: 'protected-pcie' },
      });
    }),
  );

  it(
    'with a certificate on hold, which only OCSP shows: rejected since revocation is unknown',
    withVectors(async () => {
      const verdict = await verify(await gpu('nvidia/hopper_evidence_cert_hold.json'), at);
      expect(failed(verdict)).toEqual([]);
      expect(unchecked(verdict)).toContain('gpu.revocation');
      expect(verdict.verdict).toBe('rejected');
    }),
  );

  it(
    "another GPU's chain: rejected",
    withVectors(async () => {
      const { certificates } = await gpu('nvidia/hopper_evidence_cert_hold.json');
      const verdict = await verify({ ...(await gpu('nvidia/hopper_evidence.json')), certificates }, at);
      expect(failed(verdict)).toEqual(expect.arrayContaining(['gpu.report.signature', 'gpu.fwid']));
    }),
  );

  it(
    "measurements are compared with NVIDIA's reference manifests, whose indexes are one lower",
    withVectors(async () => {
      const [driver, vbios] = await Promise.all(
        ['Driver_RIM_test_no_gpu', '1010_0200_882_96005E0001_test_no_gpu'].map(async (name) =>
          measurementsOf(await vectorText(`nvidia/nvtrust/${name}.swidtag`)),
        ),
      );
      const measurements = { ...driver, ...vbios };
      const reference = {
        driver: '550.90.07',
        vbios: '96.00.9F.00.01',
        measurements,
        ignored: Array.from({ length: 64 }, (_, i) => i + 1).filter((index) => !(index in measurements)),
      };
      const policy: Policy = {
        ...real,
        gpu: { models: ['GH100'], modes: ['passthrough'], references: [reference], nrasKeys: [] },
      };
      const verdict = await verify(await nvtrust(), at, policy);
      // The manifests are older than the driver in the report: the comparison itself is what is looked at.
      const step = verdict.steps.find(({ id }) => id === 'gpu.measurements');
      expect(step).toMatchObject({ status: 'failed' });
      expect((step?.got?.match(/\d+/g) ?? []).length).toBeLessThan(
        Object.keys(reference.measurements).length,
      );
    }),
  );

  it(
    "NVIDIA's token names the GPU and its nonce, and is refused since its key is unknown",
    withVectors(async () => {
      const nras = v.parse(DetachedEatSchema, await vectorJson('nvidia/hopperClaimsv3_detached_eat.json'));
      const policy: Policy = {
        ...real,
        gpu: {
          models: ['GH100'],
          modes: ['passthrough'],
          references: [{ driver: 'x', vbios: 'x', measurements: { 1: ['00'.repeat(48)] }, ignored: [] }],
          nrasKeys: simulated.gpu?.nrasKeys ?? [],
        },
      };
      const verdict = await verify(
        { ...(await nvtrust()), revocation: { nras } },
        '2025-06-11T00:45:00Z',
        policy,
      );
      expect(failed(verdict)).toEqual(['gpu.nras.key', 'gpu.firmware']);
      const token = parseToken(nras[0][1]);
      const [key] = simulated.gpu?.nrasKeys ?? [];
      if (key === undefined) throw new Error('no key');
      expect(await verifyEs384(token, key)).toBe(false);
    }),
  );

  it(
    'a token without signature: rejected',
    withVectors(async () => {
      const file = v.parse(
        v.object({ detached_eat: DetachedEatSchema }),
        await vectorJson('dstack/gpu_attestation_h100.json'),
      );
      const evidence = { ...(await nvtrust()), revocation: { nras: file.detached_eat } };
      expect(failed(await verify(evidence, at))).toEqual(
        expect.arrayContaining(['gpu.nras.algorithm', 'gpu.nras.key']),
      );
    }),
  );
});

/** Active measurements of a reference manifest (SWID, ISO/IEC 19770-2): index in the report, digests. */
function measurementsOf(xml: string): Record<string, string[]> {
  const found: Record<string, string[]> = {};
  for (const [resource] of xml.matchAll(/<[^>]*Resource[^>]*type="Measurement"[^>]*>/g)) {
    if (!resource.includes('active="True"')) continue;
    const index = Number(/ index="(\d+)"/.exec(resource)?.[1]);
    found[String(index + 1)] = [...resource.matchAll(/Hash\d+="([0-9a-fA-F]{96})"/g)].map(([, hash]) =>
      (hash ?? '').toLowerCase(),
    );
  }
  return found;
}
