/** Real SEV-SNP reports: every vector has its known verdict, with the right steps named. */
import { hexOf } from '@tussah/protocol/bytes';
import { describe, expect, it } from 'vitest';
import { equalBytes, latin1 } from '../bytes/bytes.ts';
import { fromHex, pemBlocksWithin } from '../bytes/text-encodings.ts';
import type { Policy } from '../policy/policy.ts';
import { parseSnpReport } from '../snp/report.ts';
import { amdRoots } from '../snp/roots.ts';
import { vcekPlatform } from '../snp/vcek.ts';
import { real, unchecked, verify } from '../testing/real-evidence.ts';
import { vector, vectorText, withVectors } from '../testing/vectors.ts';
import { failed } from '../testing/world.ts';
import { verifyX509 } from '../x509/algorithms.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { rootOf } from '../x509/chain.ts';
import { parseCrl } from '../x509/crl.ts';
import { readCertificates, readCrls } from '../x509/read-certificates.ts';

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
        snp: {
          products: ['Milan'],
          tcbMin: { Milan: milanTcb },
          vmpl: [0],
          guestPolicy: { allow: ['smt'], demand: [] },
          // Its firmware is older than that check.
          platformInfo: { demand: [] },
        },
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
      const roots = pemBlocksWithin(latin1(archive), 'CERTIFICATE', 8)
        .map(parseCertificate)
        .filter(({ issuer, subject }) => equalBytes(issuer, subject));
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
