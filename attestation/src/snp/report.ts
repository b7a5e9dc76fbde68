/** SEV-SNP attestation reports, versions 2 to 5: AMD 56860, SEV-SNP Firmware ABI, revision 1.58, ATTESTATION_REPORT. */
import { ByteReader } from '../bytes/byte-reader.ts';
import { isZero, type Bytes } from '../bytes/bytes.ts';
import { demand } from '../malformed.ts';

export interface SnpReport {
  readonly version: number;
  readonly guestPolicy: bigint;
  readonly vmpl: number;
  readonly signatureAlgorithm: number;
  readonly platformInfo: bigint;
  /** AUTHOR_KEY_EN, MASK_CHIP_KEY, SIGNING_KEY and reserved bits. */
  readonly keyInfo: number;
  readonly reportData: Bytes;
  readonly measurement: Bytes;
  readonly hostData: Bytes;
  /** The version that the signing key is for, and that of the firmware that runs. */
  readonly reportedTcb: Bytes;
  readonly currentTcb: Bytes;
  /** Below this one the firmware can't be taken back. */
  readonly committedTcb: Bytes;
  /** What ran when the guest was started. */
  readonly launchTcb: Bytes;
  /** Build, minor and major number of the firmware that runs, and of the one committed to. */
  readonly currentVersion: Bytes;
  readonly committedVersion: Bytes;
  /** Version 3 and later: family, model and stepping of the processor. */
  readonly cpuid: { readonly family: number; readonly model: number } | undefined;
  readonly chipId: Bytes;
  /** Everything before the signature. */
  readonly signed: Bytes;
  /** r and s, each of 48 bytes, most significant first. */
  readonly signature: Bytes;
}

const REPORT_BYTES = 0x4a0;
const SIGNED_BYTES = 0x2a0;

/** Throws `Malformed`. */
export function parseSnpReport(bytes: Bytes): SnpReport {
  demand(bytes.length === REPORT_BYTES, `report: ${bytes.length} bytes instead of ${REPORT_BYTES}`);
  const reader = new ByteReader(bytes);
  const version = reader.u32('VERSION');
  demand(version >= 2 && version <= 5, `report: version ${version} is unknown`);
  reader.take(4, 'GUEST_SVN');
  const guestPolicy = reader.u64('POLICY');
  reader.take(32, 'FAMILY_ID, IMAGE_ID');
  const vmpl = reader.u32('VMPL');
  const signatureAlgorithm = reader.u32('SIGNATURE_ALGO');
  const currentTcb = reader.take(8, 'CURRENT_TCB');
  const platformInfo = reader.u64('PLATFORM_INFO');
  const keyInfo = reader.u32('key information');
  skipZeros(reader, 4);
  const reportData = reader.take(64, 'REPORT_DATA');
  const measurement = reader.take(48, 'MEASUREMENT');
  const hostData = reader.take(32, 'HOST_DATA');
  reader.take(160, 'ID_KEY_DIGEST to REPORT_ID_MA');
  const reportedTcb = reader.take(8, 'REPORTED_TCB');
  const cpuid = parseCpuid(reader, version);
  skipZeros(reader, 21);
  const chipId = reader.take(64, 'CHIP_ID');
  const committedTcb = reader.take(8, 'COMMITTED_TCB');
  const currentVersion = reader.take(3, 'CURRENT_BUILD, CURRENT_MINOR, CURRENT_MAJOR');
  skipZeros(reader, 1);
  const committedVersion = reader.take(3, 'COMMITTED_BUILD, COMMITTED_MINOR, COMMITTED_MAJOR');
  skipZeros(reader, 1);
  const launchTcb = reader.take(8, 'LAUNCH_TCB');
  if (version >= 5) reader.take(16, 'LAUNCH_MIT_VECTOR, CURRENT_MIT_VECTOR');
  skipZeros(reader, SIGNED_BYTES - reader.offset);
  return {
    version,
    guestPolicy,
    vmpl,
    signatureAlgorithm,
    platformInfo,
    keyInfo,
    reportData,
    measurement,
    hostData,
    reportedTcb,
    currentTcb,
    committedTcb,
    launchTcb,
    currentVersion,
    committedVersion,
    cpuid,
    chipId,
    signed: bytes.subarray(0, SIGNED_BYTES),
    signature: parseSignature(reader),
  };
}

function skipZeros(reader: ByteReader, length: number): void {
  const from = reader.offset;
  demand(
    isZero(reader.take(length, 'reserved')),
    `report: reserved bytes from 0x${from.toString(16)} on are not zero`,
  );
}

/** CPUID_FAM_ID, CPUID_MOD_ID and CPUID_STEP; reserved before version 3. */
function parseCpuid(reader: ByteReader, version: number): SnpReport['cpuid'] {
  if (version < 3) {
    skipZeros(reader, 3);
    return undefined;
  }
  const [family = 0, model = 0] = reader.take(3, 'CPUID');
  return { family, model };
}

/** Signature format for ECDSA P-384: r and s little-endian in 72 bytes each, then zeros. */
function parseSignature(reader: ByteReader): Bytes {
  const raw = new Uint8Array(96);
  for (const at of [0, 48]) {
    const number = reader.take(72, 'signature');
    demand(isZero(number.subarray(48)), 'report: a signature component above 48 bytes');
    raw.set(number.subarray(0, 48).toReversed(), at);
  }
  skipZeros(reader, reader.left);
  return raw;
}
