/**
 * TDX quotes, versions 4 and 5: Intel TDX DCAP Quoting Library API, appendix A.3 (version 4) and A.4 (version 5). Offsets of
 * the TD report's body: Intel TDX Module Base Architecture, TDREPORT_STRUCT and TDINFO_STRUCT.
 */
import { ByteReader } from '../bytes/byte-reader.ts';
import { latin1, type Bytes } from '../bytes/bytes.ts';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';

/** Measurements and attributes of the trust domain. */
export interface TdReport {
  readonly teeTcbSvn: Bytes;
  readonly mrSeam: Bytes;
  readonly mrSignerSeam: Bytes;
  readonly seamAttributes: Bytes;
  readonly tdAttributes: Bytes;
  readonly xfam: Bytes;
  readonly mrTd: Bytes;
  readonly mrConfigId: Bytes;
  readonly mrOwner: Bytes;
  readonly mrOwnerConfig: Bytes;
  readonly rtmr: readonly [Bytes, Bytes, Bytes, Bytes];
  readonly reportData: Bytes;
  /** TDX 1.5 only: the module's present version, and the service TD that is bound. */
  readonly teeTcbSvn2: Bytes | undefined;
  readonly mrServiceTd: Bytes | undefined;
}

/** The quoting enclave's report: an SGX REPORT body, Intel SDM volume 3D, table 38-21. */
export interface QeReport {
  readonly raw: Bytes;
  readonly miscSelect: Bytes;
  readonly attributes: Bytes;
  readonly mrSigner: Bytes;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly reportData: Bytes;
}

export interface Quote {
  readonly version: number;
  readonly attestationKeyType: number;
  readonly teeType: number;
  readonly qeVendorId: Bytes;
  readonly report: TdReport;
  /** Header and body: what the attestation key signs. */
  readonly signed: Bytes;
  readonly signature: Bytes;
  /** x and y of a P-256 point. */
  readonly attestationKey: Bytes;
  readonly qeReport: QeReport;
  readonly qeReportSignature: Bytes;
  readonly qeAuthData: Bytes;
  /** PEM. */
  readonly pckChain: string;
  /** What follows the end that the quote states: quoting libraries pad with zeros. */
  readonly trailing: Bytes;
}

const TD_REPORT_10 = 2;
const TD_REPORT_15 = 3;
const sizes: Readonly<Record<number, number>> = { [TD_REPORT_10]: 584, [TD_REPORT_15]: 648 };
/** Kinds of certification data, appendix A.3.9: a QE report with what certifies it, and a chain in PEM. */
const QE_REPORT_CERTIFICATION = 6;
const PCK_CHAIN = 5;

/** Throws `Malformed`. */
export function parseQuote(bytes: Bytes): Quote {
  demand(bytes.length <= limits.quoteBytes, `quote: larger than ${limits.quoteBytes} bytes`);
  const reader = new ByteReader(bytes);
  const version = reader.u16('version');
  demand(version === 4 || version === 5, `quote: version ${version} is unknown`);
  const attestationKeyType = reader.u16('attestation key type');
  const teeType = reader.u32('TEE type');
  reader.take(4, 'reserved');
  const qeVendorId = reader.take(16, 'QE vendor id');
  reader.take(20, 'user data');
  const kind = version === 4 ? TD_REPORT_10 : reader.u16('body type');
  const size = version === 4 ? sizes[TD_REPORT_10] : reader.u32('body size');
  demand(size !== undefined && sizes[kind] === size, `quote: body type ${kind} of ${size} bytes is unknown`);
  const report = parseTdReport(new ByteReader(reader.take(size, 'body')), kind);
  const signed = bytes.subarray(0, reader.offset);
  const signatureData = reader.take(reader.u32('signature data size'), 'signature data');
  return {
    version,
    attestationKeyType,
    teeType,
    qeVendorId,
    report,
    signed,
    ...parseSignatureData(new ByteReader(signatureData)),
    trailing: reader.take(reader.left, 'padding'),
  };
}

function parseTdReport(body: ByteReader, kind: number): TdReport {
  const teeTcbSvn = body.take(16, 'TEE_TCB_SVN');
  const mrSeam = body.take(48, 'MRSEAM');
  const mrSignerSeam = body.take(48, 'MRSIGNERSEAM');
  const seamAttributes = body.take(8, 'SEAMATTRIBUTES');
  const tdAttributes = body.take(8, 'TDATTRIBUTES');
  const xfam = body.take(8, 'XFAM');
  const mrTd = body.take(48, 'MRTD');
  const mrConfigId = body.take(48, 'MRCONFIGID');
  const mrOwner = body.take(48, 'MROWNER');
  const mrOwnerConfig = body.take(48, 'MROWNERCONFIG');
  const register = () => body.take(48, 'RTMR');
  const rtmr = [register(), register(), register(), register()] as const;
  const reportData = body.take(64, 'REPORTDATA');
  const newer = kind === TD_REPORT_15;
  return {
    teeTcbSvn,
    mrSeam,
    mrSignerSeam,
    seamAttributes,
    tdAttributes,
    xfam,
    mrTd,
    mrConfigId,
    mrOwner,
    mrOwnerConfig,
    rtmr,
    reportData,
    teeTcbSvn2: newer ? body.take(16, 'TEE_TCB_SVN_2') : undefined,
    mrServiceTd: newer ? body.take(48, 'MRSERVICETD') : undefined,
  };
}

function parseSignatureData(data: ByteReader) {
  const signature = data.take(64, 'quote signature');
  const attestationKey = data.take(64, 'attestation key');
  const kind = data.u16('certification data type');
  const size = data.u32('certification data size');
  demand(kind === QE_REPORT_CERTIFICATION, `quote: certification data of type ${kind} is unknown`);
  demand(size === data.left, 'quote: certification data does not fill the signature data');
  const qeReport = parseQeReport(data.take(384, 'QE report'));
  const qeReportSignature = data.take(64, 'QE report signature');
  const qeAuthData = data.take(data.u16('QE authentication data size'), 'QE authentication data');
  const chainKind = data.u16('PCK certification data type');
  const chainSize = data.u32('PCK certification data size');
  demand(chainKind === PCK_CHAIN, `quote: PCK certification data of type ${chainKind} is unknown`);
  demand(chainSize === data.left, 'quote: the PCK chain does not fill the certification data');
  // Intel's library ends it like a string in C.
  const pckChain = latin1(data.take(chainSize, 'PCK chain')).replace(/\0$/, '');
  return { signature, attestationKey, qeReport, qeReportSignature, qeAuthData, pckChain };
}

function parseQeReport(raw: Bytes): QeReport {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  return {
    raw,
    miscSelect: raw.subarray(16, 20),
    attributes: raw.subarray(48, 64),
    mrSigner: raw.subarray(128, 160),
    isvProdId: view.getUint16(256, true),
    isvSvn: view.getUint16(258, true),
    reportData: raw.subarray(320, 384),
  };
}
