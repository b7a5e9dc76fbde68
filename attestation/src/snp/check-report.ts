/** What the report says of guest and platform, and what the policy demands of them. */
import { hexOf } from '@tussah/protocol/bytes';
import { isZero } from '../bytes/bytes.ts';
import type { Context } from '../context.ts';
import type { Policy, SnpImage, SnpPolicy, SnpProduct } from '../policy/policy.ts';
import { isoOf } from '../steps/clock.ts';
import type { RevocationList } from '../x509/crl.ts';
import type { SnpRecord } from './plan.ts';
import type { SnpReport } from './report.ts';
import { isModelOf, reservedTcb, tcbOf, tcbParts, tcbText } from './tcb.ts';
import type { VcekPlatform } from './vcek.ts';

/** Published claims of extracted VCEK seeds leave Milan out unless a policy names it. */
const defaultProducts: readonly SnpProduct[] = ['Genoa', 'Turin'];

/** Bits of the guest policy: AMD 56860, table 9. */
const bit = (n: bigint): bigint => 1n << n;
const guestPolicy = {
  reservedOne: bit(17n),
  migrationAgent: bit(18n),
  debug: bit(19n),
  known: bit(26n) - 1n,
};
const ECDSA_P384 = 1;

export function checkGuest(record: SnpRecord, report: SnpReport): void {
  const { policy, keyInfo } = report;
  record.check('snp.signature-algorithm', report.signatureAlgorithm === ECDSA_P384, {
    expected: String(ECDSA_P384),
    got: String(report.signatureAlgorithm),
  });
  // Bit 0, AUTHOR_KEY_EN, is about who signed the image. MASK_CHIP_KEY would leave chip and signature out; a VLEK (1) is not known here.
  record.check('snp.signing-key', (keyInfo & ~1) === 0, {
    expected: 'VCEK, chip key not masked',
    got: `0x${keyInfo.toString(16)}`,
  });
  const got = `0x${policy.toString(16)}`;
  record.check('snp.guest.debug', (policy & guestPolicy.debug) === 0n, { expected: 'bit 19 clear', got });
  record.check('snp.guest.migration', (policy & guestPolicy.migrationAgent) === 0n, {
    expected: 'bit 18 clear',
    got,
  });
  record.check(
    'snp.guest.policy',
    (policy & guestPolicy.reservedOne) !== 0n && (policy & ~guestPolicy.known) === 0n,
    { expected: 'bit 17 set, no bit above 25', got },
  );
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
  // Reports before version 3 don't say; their product is what the VCEK says.
  record.check('snp.processor', report.cpuid === undefined || isModelOf(product, report.cpuid), {
    expected: product,
    got: report.cpuid === undefined ? product : `family ${report.cpuid.family}, model ${report.cpuid.model}`,
  });
}

export interface PolicySubject {
  readonly report: SnpReport | undefined;
  readonly platform: VcekPlatform | undefined;
  readonly crl: RevocationList | undefined;
}

/** Returns the names of the images whose measurement the report has. */
export function checkSnpPolicy(
  record: SnpRecord,
  subject: PolicySubject,
  { policy, clock }: Context,
): string[] {
  const { report, platform, crl } = subject;
  const products = policy?.snp?.products ?? defaultProducts;
  if (platform !== undefined)
    record.check('snp.product', products.includes(platform.product), {
      expected: products.join(' or '),
      got: platform.product,
    });
  if (policy === undefined) {
    for (const id of ['vmpl', 'policy', 'tcb-floor', 'collateral-age', 'platform', 'image'] as const)
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
  if (platform !== undefined && policy.snp !== undefined) checkFloor(record, platform, policy.snp);
  if (report === undefined) return [];
  if (policy.snp !== undefined) checkListed(record, report, policy.snp);
  return checkImage(record, report, policy);
}

/** The TCB of the VCEK is the reported one, by a step of its own. */
function checkFloor(record: SnpRecord, { product, tcb }: VcekPlatform, { tcbMin }: SnpPolicy): void {
  const floor = tcbMin[product];
  record.check('snp.tcb-floor', floor !== undefined && tcbParts.every((part) => tcb[part] >= floor[part]), {
    expected: floor === undefined ? `a floor for ${product}` : tcbText(floor),
    got: tcbText(tcb),
  });
}

function checkListed(record: SnpRecord, report: SnpReport, { vmpl, platforms }: SnpPolicy): void {
  record.check('snp.vmpl', vmpl.includes(report.vmpl), {
    expected: vmpl.join(' or '),
    got: String(report.vmpl),
  });
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
