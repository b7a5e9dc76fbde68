/** What the report says of guest and platform, and what the policy demands of them. */
import { hexOf } from '@tussah/protocol/bytes';
import { equalBytes, isZero } from '../bytes/bytes.ts';
import type { Context } from '../context.ts';
import type { Policy, SnpImage, SnpPolicy, SnpProduct } from '../policy/policy.ts';
import { isoOf } from '../steps/clock.ts';
import type { RevocationList } from '../x509/crl.ts';
import type { SnpRecord } from './plan.ts';
import type { SnpReport } from './report.ts';
import { isModelOf, reaches, reservedTcb, tcbOf, tcbText } from './tcb.ts';
import type { VcekPlatform } from './vcek.ts';

/** Published claims of extracted VCEK seeds leave Milan out unless a policy names it. */
const defaultProducts: readonly SnpProduct[] = ['Genoa', 'Turin'];

const ECDSA_P384 = 1;
/** AUTHOR_KEY_EN is about who signed the image. MASK_CHIP_KEY would leave chip and signature out; a VLEK is not known here. */
const AUTHOR_KEY_EN = 1;
const VMPL_MAX = 3;

export function checkKind(record: SnpRecord, report: SnpReport): void {
  record.check('snp.signature-algorithm', report.signatureAlgorithm === ECDSA_P384, {
    expected: String(ECDSA_P384),
    got: String(report.signatureAlgorithm),
  });
  record.check('snp.signing-key', (report.keyInfo & ~AUTHOR_KEY_EN) === 0, {
    expected: 'VCEK, chip key not masked',
    got: `0x${report.keyInfo.toString(16)}`,
  });
}

export function checkPlatform(record: SnpRecord, report: SnpReport, platform: VcekPlatform): void {
  const { product, hardwareId } = platform;
  const chipId = hexOf(report.chipId);
  record.check('snp.chip-id', chipId === hardwareId.padEnd(128, '0'), { expected: hardwareId, got: chipId });
  const reported = tcbOf(product, report.reportedTcb);
  record.check(
    'snp.tcb',
    tcbText(reported) === tcbText(platform.tcb) && isZero(reservedTcb(product, report.reportedTcb)),
    { expected: tcbText(platform.tcb), got: `${tcbText(reported)} (${hexOf(report.reportedTcb)})` },
  );
  const current = tcbOf(product, report.currentTcb);
  record.check(
    'snp.firmware',
    equalBytes(report.committedTcb, report.currentTcb) &&
      equalBytes(report.committedVersion, report.currentVersion) &&
      reaches(current, reported),
    {
      expected: 'current firmware committed to, and nothing newer reported',
      got: `current ${tcbText(current)}, committed ${tcbText(tcbOf(product, report.committedTcb))}`,
    },
  );
  // Reports before version 3 don't say; their product is what the VCEK says.
  record.check('snp.processor', report.cpuid === undefined || isModelOf(product, report.cpuid), {
    expected: product,
    got: report.cpuid === undefined ? product : `family ${report.cpuid.family}, model ${report.cpuid.model}`,
  });
}

export interface SnpSubject {
  readonly report: SnpReport | undefined;
  readonly platform: VcekPlatform | undefined;
  readonly crl: RevocationList | undefined;
}

/** Returns the names of the images whose measurement the report has. */
export function checkSnpPolicy(record: SnpRecord, subject: SnpSubject, { policy, clock }: Context): string[] {
  const { report, platform, crl } = subject;
  const products = policy?.snp?.products ?? defaultProducts;
  if (platform !== undefined)
    record.check('snp.product', products.includes(platform.product), {
      expected: products.join(' or '),
      got: platform.product,
    });
  if (report !== undefined) checkVmpl(record, report, policy?.snp);
  if (policy === undefined) {
    for (const id of ['policy', 'tcb-floor', 'collateral-age', 'platform', 'image'] as const)
      record.waive(`snp.${id}`);
    return [];
  }
  record.check('snp.policy', policy.snp !== undefined, { expected: 'an snp section', got: policy.name });
  if (crl !== undefined)
    record.check(
      'snp.collateral-age',
      clock.within(crl.thisUpdateMs, crl.thisUpdateMs + policy.collateralAgeMaxMs),
      { expected: `issued within ${policy.collateralAgeMaxMs} ms`, got: isoOf(crl.thisUpdateMs) },
    );
  if (report === undefined) return [];
  if (platform !== undefined && policy.snp !== undefined) checkFloor(record, report, platform, policy.snp);
  if (policy.snp !== undefined) checkListed(record, report, policy.snp);
  return checkImage(record, report, policy);
}

/** What ran when the guest was started counts as well. The TCB of the VCEK is the reported one, by a step of its own. */
function checkFloor(
  record: SnpRecord,
  report: SnpReport,
  { product, tcb }: VcekPlatform,
  { tcbMin }: SnpPolicy,
): void {
  const floor = tcbMin[product];
  const launch = tcbOf(product, report.launchTcb);
  record.check('snp.tcb-floor', floor !== undefined && reaches(tcb, floor) && reaches(launch, floor), {
    expected: floor === undefined ? `a floor for ${product}` : tcbText(floor),
    got: `${tcbText(tcb)}; at launch ${tcbText(launch)}`,
  });
}

/** Above 3 it was the host that asked for the report. */
function checkVmpl(record: SnpRecord, { vmpl }: SnpReport, policy: SnpPolicy | undefined): void {
  record.check('snp.vmpl', policy === undefined ? vmpl <= VMPL_MAX : policy.vmpl.includes(vmpl), {
    expected: policy === undefined ? `at most ${VMPL_MAX}` : policy.vmpl.join(' or '),
    got: String(vmpl),
  });
}

function checkListed(record: SnpRecord, report: SnpReport, { platforms }: SnpPolicy): void {
  if (platforms === undefined) record.waive('snp.platform');
  else
    record.check('snp.platform', platforms.includes(hexOf(report.chipId)), {
      expected: `one of ${platforms.length} chips`,
      got: hexOf(report.chipId),
    });
}

function checkImage(record: SnpRecord, report: SnpReport, { images }: Policy): string[] {
  const measurement = hexOf(report.measurement);
  const hostData = hexOf(report.hostData);
  const same = (image: SnpImage) => image.measurement === measurement && image.hostData === hostData;
  const matching = images.filter(({ snp }) => snp !== undefined && same(snp)).map(({ name }) => name);
  record.check('snp.image', matching.length > 0, {
    expected: `the measurement of ${images.map(({ name }) => name).join(' or ')}`,
    got: `${measurement}, host data ${hostData}`,
  });
  return matching;
}
