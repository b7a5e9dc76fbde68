/** Real evidence: every vector has its known verdict, with the right steps named. */
import { hexOf } from '@tussah/protocol/bytes';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { equalBytes } from '../bytes/bytes.ts';
import { fromBase64, fromHex } from '../bytes/text-encodings.ts';
import { readCcel } from '../event-log/ccel.ts';
import { readDstackLog } from '../event-log/dstack.ts';
import { replay } from '../event-log/replay.ts';
import { parseToken, verifyEs384 } from '../nvidia/jwt.ts';
import { DetachedEatSchema } from '../nvidia/revocation.ts';
import { parseSpdmReport } from '../nvidia/spdm.ts';
import type { Policy } from '../policy/policy.ts';
import { parseSnpReport } from '../snp/report.ts';
import { vcekPlatform } from '../snp/vcek.ts';
import { parseQuote } from '../tdx/quote.ts';
import { failed, policy as simulated } from '../testing/world.ts';
import { vector, vectorJson, vectorText, withVectors } from '../testing/vectors.ts';
import type { Verdict } from '../verdict.ts';
import { Verifier, type Evidence } from '../verify.ts';
import { verifyX509 } from '../x509/algorithms.ts';
import { rootOf } from '../x509/chain.ts';
import { parseCrl } from '../x509/crl.ts';
import { readCertificates, readCrls } from '../x509/read-certificates.ts';
import { intelRoots } from '../tdx/roots.ts';
import { nvidiaRoots } from '../nvidia/roots.ts';
import { amdRoots } from '../snp/roots.ts';

const verify = (evidence: Evidence, at: string, policy?: Policy): Promise<Verdict> =>
  new Verifier().verify(evidence, policy, Date.parse(at));
const unchecked = ({ steps }: Verdict) =>
  steps.filter(({ status }) => status === 'unchecked').map(({ id }) => id);
const year = 366 * 86_400_000;
/** A policy for real evidence: nothing simulated, nothing of its own about images. */
const real: Policy = {
  ...simulated,
  simulatedRoots: [],
  collateralAgeMaxMs: year,
  images: [{ name: 'none' }],
};

describe('real TDX quotes', () => {
  const at = '2025-06-20T10:16:03Z';
  const tdx = async (quote: string, collateral = 'tdx/tdx_quote_collateral.json') =>
    ({ kind: 'tdx', quote: await vector(quote), collateral: await vectorJson(collateral) }) as const;

  it(
    'version 4, up to date: accepted',
    withVectors(async () => {
      const verdict = await verify(await tdx('tdx/tdx_quote'), at);
      expect(failed(verdict)).toEqual([]);
      expect(verdict).toMatchObject({
        verdict: 'accepted',
        claims: { simulated: false, tcbStatus: 'UpToDate', fmspc: 'b0c06f000000' },
      });
      expect(unchecked(verdict)).toContain('tdx.image');
    }),
  );

  it(
    'version 4, by a policy with its measurements: accepted',
    withVectors(async () => {
      const evidence = await tdx('tdx/tdx_quote');
      const { report } = parseQuote(evidence.quote);
      const rtmr = report.rtmr.map(hexOf) as [string, string, string, string];
      const image = {
        mrTd: hexOf(report.mrTd),
        rtmr,
        mrConfigId: '00'.repeat(48),
        mrOwner: '00'.repeat(48),
        mrOwnerConfig: '00'.repeat(48),
      };
      const policy: Policy = {
        ...real,
        images: [{ name: 'real', tdx: image }],
        tdx: { statuses: ['UpToDate'], evaluationNumberMin: 17 },
      };
      expect(await verify(evidence, at, policy)).toMatchObject({
        verdict: 'accepted',
        claims: { images: ['real'] },
      });
      const stricter = { ...policy, tdx: { statuses: ['UpToDate' as const], evaluationNumberMin: 18 } };
      expect(failed(await verify(evidence, at, stricter))).toEqual(['tdx.evaluation-number']);
    }),
  );

  it.for([
    [
      '2024-06-20T00:00:00Z',
      [
        'tdx.pck-chain.dates',
        'tdx.root-crl.dates',
        'tdx.pck-crl.dates',
        'tdx.tcb-chain.dates',
        'tdx.tcb-info.dates',
        'tdx.qe-chain.dates',
        'tdx.qe-identity.dates',
      ],
    ],
    [
      '2026-06-20T00:00:00Z',
      ['tdx.root-crl.dates', 'tdx.pck-crl.dates', 'tdx.tcb-info.dates', 'tdx.qe-identity.dates'],
    ],
  ] as const)('version 4 at %s: the collateral is not of that time', ([when, ids], context) =>
    withVectors(async () => {
      expect(failed(await verify(await tdx('tdx/tdx_quote'), when))).toEqual(ids);
    })(context),
  );

  it(
    'version 5 whose platform reaches no TCB level: rejected',
    withVectors(async () => {
      const evidence = await tdx('tdx/tdx_quote_outdated', 'tdx/tdx_quote_outdated_collateral.json');
      const verdict = await verify(evidence, '2026-02-20T00:00:00Z');
      expect(failed(verdict)).toEqual(['tdx.tcb.platform']);
      expect(verdict.verdict).toBe('rejected');
    }),
  );

  it(
    'version 5 with collateral of another platform family: rejected',
    withVectors(async () => {
      const verdict = await verify(await tdx('tdx-v5/quote_v5_sample.dat'), at);
      expect(failed(verdict)).toEqual(['tdx.pck-chain.dates', 'tdx.tcb-info.fmspc']);
    }),
  );

  it(
    'with bytes behind its end: rejected',
    withVectors(async () => {
      const verdict = await verify(await tdx('tdx-v5/tdx_prod_quote_SPR_E4.dat'), at);
      expect(failed(verdict)).toContain('tdx.length');
      expect(verdict.verdict).toBe('rejected');
    }),
  );

  it.for([
    ['TCB info', 'tcb_info', 'OutOfDate', 'UpToDate', 'tdx.tcb-info.signature'],
    ['a QE identity', 'qe_identity', '"isvprodid":2', '"isvprodid":3', 'tdx.qe-identity.signature'],
  ] as const)('%s that was tampered with: rejected', ([, member, from, to, id], context) =>
    withVectors(async () => {
      const evidence = await tdx('tdx/tdx_quote');
      const collateral = v.parse(v.record(v.string(), v.string()), evidence.collateral);
      const tampered = { ...collateral, [member]: collateral[member]?.replace(from, to) };
      expect(failed(await verify({ ...evidence, collateral: tampered }, at))).toContain(id);
    })(context),
  );

  it.for(['', 'deadbeef', 'root'])('with no CRL, garbage, or another CRL: rejected (%s)', (what, context) =>
    withVectors(async () => {
      const evidence = await tdx('tdx/tdx_quote');
      const collateral = v.parse(v.record(v.string(), v.string()), evidence.collateral);
      const pck_crl = what === 'root' ? collateral['root_ca_crl'] : what;
      const verdict = await verify({ ...evidence, collateral: { ...collateral, pck_crl } }, at);
      expect(verdict.verdict).toBe('rejected');
      expect(failed(verdict).every((id) => id.startsWith('tdx.pck-crl.'))).toBe(true);
      expect(failed(verdict)).not.toEqual([]);
    })(context),
  );
});

describe('real event logs', () => {
  it(
    'the CCEL adds up to all four registers, and the report data is the nonce',
    withVectors(async () => {
      const { report } = parseQuote(await vector('tdx-ccel/cos-113-tdx-quote.dat'));
      const registers = await replay(readCcel(await vector('tdx-ccel/ccel_data.dat')));
      expect(registers.map(hexOf)).toEqual(report.rtmr.map(hexOf));
      expect(equalBytes(report.reportData, await vector('tdx-ccel/nonce.dat'))).toBe(true);
    }),
  );

  it(
    "dstack's adds up to all four registers",
    withVectors(async () => {
      const file = v.parse(
        v.object({ quote: v.string(), event_log: v.string() }),
        await vectorJson('dstack/quote-report.json'),
      );
      const { report } = parseQuote(fromHex(file.quote, 'quote'));
      const events = await readDstackLog(JSON.parse(file.event_log));
      expect((await replay(events)).map(hexOf)).toEqual(report.rtmr.map(hexOf));
      expect(events.filter(({ named }) => named).map(({ name }) => name)).toContain('compose-hash');
    }),
  );
});

describe('real SEV-SNP reports', () => {
  const at = '2025-08-01T00:00:00Z';
  const crl = () => vector('snp/crl/sev_certificates.txt');
  const milanTcb = { fmc: 0, bootloader: 0, tee: 0, snp: 0, microcode: 0 };
  const first = async (withCrl = true) => ({
    kind: 'snp' as const,
    report: await vector('snp/attestation.bin'),
    vcek: await vector('snp/vcek.testcer'),
    chain: await vector('snp/milan.testcer'),
    ...(withCrl ? { crl: await crl() } : {}),
  });
  const second = async () => ({
    kind: 'snp' as const,
    report: fromHex((await vectorText('snp/virtee/report_milan.hex')).replace(/\s/g, ''), 'report'),
    vcek: await vector('snp/virtee/vcek_milan.der'),
    chain: await vector('snp/virtee/cert_chain_milan'),
    crl: await crl(),
  });

  it(
    'Milan in debug mode: rejected by default',
    withVectors(async () => {
      const verdict = await verify(await first(), at);
      expect(failed(verdict)).toEqual(['snp.product', 'snp.guest.debug']);
      expect(verdict).toMatchObject({ verdict: 'rejected', claims: { simulated: false } });
    }),
  );

  it(
    'Milan without CRL: its revocation stays unchecked, hence rejected',
    withVectors(async () => {
      expect(unchecked(await verify(await first(false), at))).toContain('snp.chain.revocation');
    }),
  );

  it(
    'Milan by a policy that names it: accepted',
    withVectors(async () => {
      const evidence = await second();
      const { measurement, hostData } = parseSnpReport(evidence.report);
      const image = { measurement: hexOf(measurement), hostData: hexOf(hostData) };
      const policy: Policy = {
        ...real,
        images: [{ name: 'real', snp: image }],
        snp: { products: ['Milan'], tcbMin: { Milan: milanTcb }, vmpl: [0] },
      };
      const verdict = await verify(evidence, at, policy);
      expect(failed(verdict)).toEqual([]);
      expect(verdict.verdict).toBe('accepted');
      expect(failed(await verify(evidence, at))).toEqual(['snp.product']);
    }),
  );

  it(
    "with another chip's VCEK: rejected",
    withVectors(async () => {
      const { vcek } = await second();
      expect(failed(await verify({ ...(await first()), vcek }, at))).toEqual(
        expect.arrayContaining(['snp.report.signature', 'snp.chip-id', 'snp.tcb']),
      );
    }),
  );

  it(
    "Turin's chain and VCEK are genuine",
    withVectors(async () => {
      const [vcek, ask] = [
        ...readCertificates(await vector('snp/virtee/vcek_turin.der')),
        ...readCertificates(await vector('snp/virtee/cert_chain_turin')),
      ];
      if (vcek === undefined || ask === undefined) throw new Error('two certificates were expected');
      expect(await verifyX509(ask.key, vcek.algorithm, vcek.signature, vcek.tbs)).toBe(true);
      expect(vcekPlatform(vcek)).toMatchObject({ product: 'Turin' });
    }),
  );

  it(
    "AMD's CRLs are signed by the roots that are pinned",
    withVectors(async () => {
      const archive = await crl();
      const roots = readCertificates(archive).filter(({ issuer, subject }) => equalBytes(issuer, subject));
      expect((await Promise.all(roots.map((root) => rootOf([root])))).sort()).toEqual(
        [amdRoots.Genoa, amdRoots.Milan].sort(),
      );
      const lists = readCrls(archive).map(parseCrl);
      expect(lists).toHaveLength(2);
      for (const list of lists) {
        const root = roots.find(({ subject }) => equalBytes(subject, list.issuer));
        if (root === undefined) throw new Error('a list without root');
        expect(await verifyX509(root.key, list.algorithm, list.signature, list.tbs)).toBe(true);
      }
    }),
  );
});

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
      const reference = {
        driver: '550.90.07',
        vbios: '96.00.9F.00.01',
        measurements: { ...driver, ...vbios },
      };
      const policy: Policy = {
        ...real,
        gpu: { models: ['GH100'], modes: ['single-gpu'], references: [reference], nrasKeys: [] },
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
          modes: ['single-gpu'],
          references: [{ driver: 'x', vbios: 'x', measurements: {} }],
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

describe('the pinned roots', () => {
  it(
    'are those of the vectors',
    withVectors(async () => {
      const rootIn = async (path: string) => rootOf(readCertificates(await vector(path)));
      expect(await rootIn('roots/IntelSGXRootCA.der')).toBe(intelRoots[0]);
      expect(await rootIn('roots/nvidia_device_identity_ca.pem')).toBe(nvidiaRoots[0]);
      expect(await rootIn('snp/virtee/cert_chain_turin')).toBe(amdRoots.Turin);
      expect(await rootIn('snp/milan.testcer')).toBe(amdRoots.Milan);
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
