/** SEV-SNP attestation reports, versions 2 to 5: AMD 56860, SEV Secure Nested Paging Firmware ABI, table 23. */
import { ByteReader } from '../bytes/byte-reader.ts';
import { isZero, type Bytes } from '../bytes/bytes.ts';
import { demand } from '../malformed.ts';

export interface SnpReport {
  readonly version: number;
  readonly policy: bigint;
  readonly vmpl: number;
  readonly signatureAlgorithm: number;
  /** AUTHOR_KEY_EN, MASK_CHIP_KEY, SIGNING_KEY and reserved bits. */
  readonly keyInfo: number;
  readonly reportData: Bytes;
  readonly measurement: Bytes;
  readonly hostData: Bytes;
  readonly reportedTcb: Bytes;
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
  const policy = reader.u64('POLICY');
  reader.take(32, 'FAMILY_ID, IMAGE_ID');
  const vmpl = reader.u32('VMPL');
  const signatureAlgorithm = reader.u32('SIGNATURE_ALGO');
  reader.take(16, 'CURRENT_TCB, PLATFORM_INFO');
  const keyInfo = reader.u32('key information');
  demand(isZero(reader.take(4, 'reserved')), 'report: reserved bytes at 0x4c are not zero');
  const reportData = reader.take(64, 'REPORT_DATA');
  const measurement = reader.take(48, 'MEASUREMENT');
  const hostData = reader.take(32, 'HOST_DATA');
  reader.take(160, 'ID_KEY_DIGEST to REPORT_ID_MA');
  const reportedTcb = reader.take(8, 'REPORTED_TCB');
  const cpu = reader.take(3, 'CPUID');
  reader.take(21, 'reserved');
  const chipId = reader.take(64, 'CHIP_ID');
  reader.take(SIGNED_BYTES - reader.offset, 'COMMITTED_TCB and what follows');
  return {
    version,
    policy,
    vmpl,
    signatureAlgorithm,
    keyInfo,
    reportData,
    measurement,
    hostData,
    reportedTcb,
    cpuid: version >= 3 ? { family: cpu[0] ?? 0, model: cpu[1] ?? 0 } : undefined,
    chipId,
    signed: bytes.subarray(0, SIGNED_BYTES),
    signature: parseSignature(new ByteReader(bytes.subarray(SIGNED_BYTES))),
  };
}

/** Table 139: r and s little-endian in 72 bytes each, then zeros. */
function parseSignature(reader: ByteReader): Bytes {
  const raw = new Uint8Array(96);
  for (const at of [0, 48]) {
    const number = reader.take(72, 'signature');
    demand(isZero(number.subarray(48)), 'report: a signature component above 48 bytes');
    raw.set(number.slice(0, 48).reverse(), at);
  }
  demand(isZero(reader.take(reader.left, 'reserved')), 'report: bytes behind the signature are not zero');
  return raw;
}
