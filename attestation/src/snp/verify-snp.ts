/** Verifies an SEV-SNP attestation report, offline: AMD 56860 (firmware ABI) and 57230 (VCEK certificates). */
import { hexOf } from '@tussah/protocol/bytes';
import { equalBytes, type Bytes } from '../bytes/bytes.ts';
import type { Context } from '../context.ts';
import { StepRecord } from '../steps/record.ts';
import type { PartVerdict } from '../verdict.ts';
import { verifyRaw } from '../x509/algorithms.ts';
import type { Certificate } from '../x509/certificate.ts';
import { checkChain, rootOf } from '../x509/chain.ts';
import { checkCrl } from '../x509/check-crl.ts';
import { parseCrl, type RevocationList } from '../x509/crl.ts';
import { readCertificates, readCrls } from '../x509/read-certificates.ts';
import { demand } from '../malformed.ts';
import { checkKind, checkPlatform, checkSnpPolicy } from './check-report.ts';
import { checkGuestPolicy, checkPlatformInfo } from './guest.ts';
import { snpPlan, type SnpRecord } from './plan.ts';
import { parseSnpReport, type SnpReport } from './report.ts';
import { amdRoots } from './roots.ts';
import { tcbText } from './tcb.ts';
import { vcekPlatform, type VcekPlatform } from './vcek.ts';

export interface SnpEvidence {
  readonly report: Uint8Array;
  /** DER or PEM: the VCEK; then ASK and ARK, in this order. */
  readonly vcek: Uint8Array;
  readonly chain: Uint8Array;
  /** DER, or PEM with one list per product; undefined leaves revocation unknown, which is refused. */
  readonly crl?: Uint8Array | undefined;
  /** 64 bytes; undefined leaves the report data unchecked. */
  readonly expectedReportData?: Uint8Array | undefined;
}

export interface SnpFacts {
  readonly report: SnpReport;
  readonly images: readonly string[];
}

export async function verifySnp(evidence: SnpEvidence, context: Context): Promise<PartVerdict<SnpFacts>> {
  const record: SnpRecord = new StepRecord(snpPlan);
  const report = record.parse('snp.report', 'an SEV-SNP report', () =>
    parseSnpReport(evidence.report as Bytes),
  );
  const chain = record.parse('snp.chain.format', 'VCEK, ASK and ARK in DER or PEM', () =>
    readChain(evidence),
  );
  const [vcek] = chain ?? [];
  const platform = vcek && record.parse('snp.vcek', 'the extensions of a VCEK', () => vcekPlatform(vcek));
  const root = chain && (await rootOf(chain));
  if (chain && platform) await checkVcekChain(record, chain, platform, context);
  const crl = chain && (await checkRevocation(record, evidence.crl, chain, context));
  if (report) {
    checkKind(record, report);
    checkGuestPolicy(record, report, context.policy?.snp);
    checkPlatformInfo(record, report, context.policy?.snp);
  }
  if (report && vcek)
    record.check(
      'snp.report.signature',
      await verifyRaw(vcek.key, 'ecdsa-sha384', report.signature, report.signed),
    );
  if (report && platform) checkPlatform(record, report, platform);
  const images = checkSnpPolicy(record, { report, platform, crl }, context);
  if (evidence.expectedReportData === undefined) record.waive('snp.report-data');
  else if (report)
    record.check('snp.report-data', equalBytes(report.reportData, evidence.expectedReportData), {
      expected: hexOf(evidence.expectedReportData),
      got: hexOf(report.reportData),
    });
  const genuine = Object.values<string>(amdRoots);
  return {
    ...record.outcome(),
    claims: {
      kind: 'snp',
      simulated: root !== undefined && !genuine.includes(root),
      ...(platform && { product: platform.product, tcb: tcbText(platform.tcb) }),
      ...(report && claimsOf(report)),
      images,
    },
    facts: report && { report, images },
  };
}

/** Throws `Malformed`. */
function readChain({ vcek, chain }: SnpEvidence): Certificate[] {
  const leaves = readCertificates(vcek);
  demand(leaves.length === 1, 'VCEK: not exactly one certificate');
  return [...leaves, ...readCertificates(chain)];
}

async function checkVcekChain(
  record: SnpRecord,
  chain: readonly Certificate[],
  { product }: VcekPlatform,
  context: Context,
): Promise<void> {
  const roots = [amdRoots[product], ...(context.policy?.simulatedRoots ?? [])];
  await checkChain(record, 'snp.chain', chain, { length: 3, roots }, context);
  const names = chain.map(({ commonName }) => commonName);
  const expected = ['SEV-VCEK', `SEV-${product}`, `ARK-${product}`];
  record.check('snp.vcek.subject', names.join() === expected.join(), {
    expected: expected.join(' below '),
    got: names.join(' below '),
  });
}

/** AMD 57230, section 4.2: the root's list says which ASKs are revoked. */
async function checkRevocation(
  record: SnpRecord,
  given: Uint8Array | undefined,
  chain: readonly Certificate[],
  { clock }: Context,
): Promise<RevocationList | undefined> {
  const [, ask, ark] = chain;
  if (given === undefined || ask === undefined) return undefined;
  const list = await checkCrl(record, 'snp.crl', () => crlOf(given, ark), ark, clock);
  if (list !== undefined)
    record.check('snp.chain.revocation', !list.revoked.has(ask.serial), {
      expected: 'not revoked',
      got: `serial number ${ask.serial}`,
    });
  return list;
}

/** Of several lists, the one by this root; the first one if there is none, so that the record says by whom it is. */
function crlOf(given: Uint8Array, ark: Certificate | undefined): Bytes {
  const lists = readCrls(given);
  const own = lists.find((list) => ark !== undefined && equalBytes(parseCrl(list).issuer, ark.subject));
  const chosen = own ?? lists[0];
  demand(chosen !== undefined, 'no certificate revocation list');
  return chosen;
}

const claimsOf = (report: SnpReport) => ({
  reportVersion: report.version,
  measurement: hexOf(report.measurement),
  reportData: hexOf(report.reportData),
  hostData: hexOf(report.hostData),
  chipId: hexOf(report.chipId),
  vmpl: report.vmpl,
  guestPolicy: `0x${report.guestPolicy.toString(16)}`,
  platformInfo: `0x${report.platformInfo.toString(16)}`,
});
