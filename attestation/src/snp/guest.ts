/** The guest policy and the platform's state, bit by bit: AMD 56860, revision 1.58, POLICY and PLATFORM_INFO. */
import type { PlatformState, SnpPolicy } from '../policy/policy.ts';
import type { SnpRecord } from './plan.ts';
import type { SnpReport } from './report.ts';

const bit = (n: bigint): bigint => 1n << n;
const has = (bits: bigint, n: bigint): boolean => (bits & bit(n)) !== 0n;

/** Bits 0 to 15 are the least version of the ABI, bit 17 is reserved and set. */
const guestBits = {
  smt: 16n,
  reservedOne: 17n,
  migrationAgent: 18n,
  debug: 19n,
  'single-socket': 20n,
  cxl: 21n,
  'aes-256-xts': 22n,
  'rapl-disabled': 23n,
  'ciphertext-hiding': 24n,
  'page-swap-disabled': 25n,
} as const;
const knownGuestBits = bit(26n) - 1n;

const platformBits: Readonly<Record<PlatformState, bigint>> = {
  tsme: 1n,
  ecc: 2n,
  'rapl-disabled': 3n,
  'ciphertext-hiding': 4n,
  'alias-check': 5n,
};
/** SMT_EN (bit 0), those above, and TIO_EN (bit 7); bit 6 is reserved. */
const knownPlatformBits = bit(8n) - 1n - bit(6n);

/** The operator chooses the guest policy, and the measurement does not cover it. */
export function checkGuestPolicy(
  record: SnpRecord,
  { guestPolicy: bits }: SnpReport,
  policy: SnpPolicy | undefined,
): void {
  const got = `0x${bits.toString(16)}`;
  record.check('snp.guest.debug', !has(bits, guestBits.debug), { expected: 'bit 19 clear', got });
  record.check('snp.guest.migration', !has(bits, guestBits.migrationAgent), {
    expected: 'bit 18 clear',
    got,
  });
  record.check('snp.guest.policy', has(bits, guestBits.reservedOne) && (bits & ~knownGuestBits) === 0n, {
    expected: 'bit 17 set, no bit above 25',
    got,
  });
  const { allow, demand } = policy?.guestPolicy ?? { allow: ['smt'], demand: [] };
  const refused = (['smt', 'cxl'] as const).filter(
    (name) => has(bits, guestBits[name]) && !allow.includes(name),
  );
  const missing = demand.filter((name) => !has(bits, guestBits[name]));
  const wrong = [...refused.map((name) => `${name} allowed`), ...missing.map((name) => `${name} missing`)];
  record.check('snp.guest.protections', wrong.length === 0, {
    expected: `of smt and cxl at most: ${allow.join(', ') || 'none'}; demanded: ${demand.join(', ') || 'none'}`,
    got: `${wrong.join(', ') || 'that'} (${got})`,
  });
}

export function checkPlatformInfo(
  record: SnpRecord,
  { platformInfo: bits }: SnpReport,
  policy: SnpPolicy | undefined,
): void {
  const demanded = policy?.platformInfo.demand ?? [];
  const missing = demanded.filter((name) => !has(bits, platformBits[name]));
  record.check('snp.platform-info', missing.length === 0 && (bits & ~knownPlatformBits) === 0n, {
    expected: `${demanded.join(', ') || 'nothing in particular'}, no bit that is unknown`,
    got: `0x${bits.toString(16)}${missing.length === 0 ? '' : `, without ${missing.join(', ')}`}`,
  });
}
