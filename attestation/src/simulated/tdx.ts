/**
 * Simulated TDX evidence: a quote with all its collateral under a root of its own. Every property can be changed before it is
 * signed, so that evidence is wrong in just that, and every signed part after it.
 */
import { hexOf } from '@tussah/protocol/bytes';
import { concatBytes, utf8, type Bytes } from '../bytes/bytes.ts';
import { tags } from '../der/der.ts';
import type { TdxImage } from '../policy/policy.ts';
import type { TdxCollateral } from '../tdx/collateral.ts';
import {
  crlNumber,
  DAY_MS,
  makeCertificate,
  makeCrl,
  pemChain,
  type CertificateChange,
  type CertificateSpec,
  type CrlChange,
} from './certificates.ts';
import { element, integer, octetString, oidOf, sequence } from './der-writer.ts';
import { newKey, pointOf, signRaw, type SimulatedKey } from './keys.ts';

/** The simulated Intel: its keys. Certificates are made anew for every piece of evidence. */
export interface SimulatedIntel {
  readonly rootKey: SimulatedKey;
  readonly authorityKey: SimulatedKey;
  readonly pckKey: SimulatedKey;
  readonly signerKey: SimulatedKey;
  readonly attestationKey: SimulatedKey;
  /** Fixed, so that the root stays the same. */
  readonly root: Bytes;
  readonly madeAtMs: number;
}

const rootName = 'Intel SGX Root CA';
const authorityName = 'Intel SGX PCK Platform CA';

export async function newSimulatedIntel(nowMs: number): Promise<SimulatedIntel> {
  const [rootKey, authorityKey, pckKey, signerKey, attestationKey] = await Promise.all([
    newKey('p256'),
    newKey('p256'),
    newKey('p256'),
    newKey('p256'),
    newKey('p256'),
  ]);
  const root = await makeCertificate(rootSpec(rootKey, nowMs));
  return { rootKey, authorityKey, pckKey, signerKey, attestationKey, root, madeAtMs: nowMs };
}

const rootSpec = (key: SimulatedKey, nowMs: number): CertificateSpec => ({
  commonName: rootName,
  issuerName: rootName,
  key,
  issuerKey: key,
  serial: 1,
  notBeforeMs: nowMs - 365 * DAY_MS,
  notAfterMs: nowMs + 3650 * DAY_MS,
  ca: true,
  pathLength: 1,
  usage: [5, 6],
});

/** What can be different about simulated TDX evidence. */
export interface TdxChanges {
  readonly version?: 4 | 5;
  /** A TD report of TDX 1.5; version 5 only. */
  readonly newer?: boolean;
  readonly root?: CertificateChange;
  readonly authority?: CertificateChange;
  readonly pck?: CertificateChange;
  readonly signer?: CertificateChange;
  /** The QE identity's signer; the same as the TCB info's unless changed. */
  readonly qeSigner?: CertificateChange;
  readonly rootCrl?: CrlChange;
  readonly pckCrl?: CrlChange;
  readonly platform?: Partial<PlatformSpec>;
  /** Before signing. */
  readonly tcbInfo?: Readonly<Record<string, unknown>>;
  readonly qeIdentity?: Readonly<Record<string, unknown>>;
  readonly header?: Partial<{ keyType: number; teeType: number; vendor: string }>;
  readonly body?: Partial<BodySpec>;
  readonly qeReport?: Partial<QeReportSpec>;
  readonly reportData?: Uint8Array;
  readonly image?: Partial<TdxImage>;
  /** The chain in the quote, out of leaf, authority and root. */
  readonly pckChain?: (chain: readonly Bytes[]) => readonly Bytes[];
  readonly tcbChain?: (chain: readonly Bytes[]) => readonly Bytes[];
  readonly qeChain?: (chain: readonly Bytes[]) => readonly Bytes[];
  /** Signs the QE report instead of the PCK. */
  readonly qeReportKey?: SimulatedKey;
  readonly quoteKey?: SimulatedKey;
  readonly tcbInfoKey?: SimulatedKey;
  readonly qeIdentityKey?: SimulatedKey;
  /** Appended to the quote. */
  readonly trailing?: Uint8Array;
}

interface PlatformSpec {
  readonly ppid: Uint8Array;
  readonly fmspc: Uint8Array;
  readonly pceId: Uint8Array;
  readonly components: readonly number[];
  readonly pceSvn: number;
}
interface BodySpec {
  readonly teeTcbSvn: Uint8Array;
  readonly teeTcbSvn2: Uint8Array;
  readonly mrServiceTd: Uint8Array;
  readonly mrSignerSeam: Uint8Array;
  readonly seamAttributes: Uint8Array;
  readonly tdAttributes: Uint8Array;
}
interface QeReportSpec {
  readonly miscSelect: Uint8Array;
  readonly attributes: Uint8Array;
  readonly mrSigner: Uint8Array;
  readonly isvProdId: number;
  readonly isvSvn: number;
  readonly reportData: Uint8Array;
}

export interface SimulatedTdx {
  readonly quote: Bytes;
  readonly collateral: TdxCollateral;
}

const zeros = (length: number): Bytes => new Uint8Array(length);
const filled = (length: number, value: number): Bytes => new Uint8Array(length).fill(value);
const u16 = (value: number): Bytes => Uint8Array.of(value & 0xff, value >> 8);
const u32 = (value: number): Bytes => concatBytes(u16(value & 0xffff), u16(value >>> 16));
const hexBytes = (hex: string): Bytes =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

/** The image that simulated evidence measures unless it is told otherwise. */
export const simulatedTdxImage: TdxImage = {
  mrTd: 'd1'.repeat(48),
  rtmr: ['00'.repeat(48), '01'.repeat(48), '02'.repeat(48), '03'.repeat(48)],
  mrConfigId: '00'.repeat(48),
  mrOwner: '00'.repeat(48),
  mrOwnerConfig: '00'.repeat(48),
};
export const simulatedPpid = 'ee'.repeat(16);
const VENDOR = '939a7233f79c4ca9940a0db3957f0607';
const QE_SIGNER = 'dc9e2a7c6f948f17474e34a7fc43ed030f7c1563f1babddf6340c82e0e54a8c5';

export async function makeTdx(intel: SimulatedIntel, changes: TdxChanges = {}): Promise<SimulatedTdx> {
  const certificates = await makeCertificates(intel, changes);
  const signer = { ...intel, ...certificates };
  const collateral = await makeCollateral(signer, changes);
  return { quote: await makeQuote(signer, changes), collateral };
}

interface Certificates {
  readonly root: Bytes;
  readonly authority: Bytes;
  readonly pck: Bytes;
  readonly signer: Bytes;
  readonly qeSigner: Bytes;
}

async function makeCertificates(intel: SimulatedIntel, changes: TdxChanges): Promise<Certificates> {
  const dates = { notBeforeMs: intel.madeAtMs - 30 * DAY_MS, notAfterMs: intel.madeAtMs + 700 * DAY_MS };
  const below = { ...dates, issuerName: rootName, issuerKey: intel.rootKey };
  const signer: CertificateSpec = {
    ...below,
    commonName: 'Intel SGX TCB Signing',
    key: intel.signerKey,
    serial: 3,
    ca: false,
    usage: [0, 1],
    ...changes.signer,
  };
  const [root, authority, pck, tcbSigner] = await Promise.all([
    changes.root === undefined
      ? intel.root
      : makeCertificate({ ...rootSpec(intel.rootKey, intel.madeAtMs), ...changes.root }),
    makeCertificate({
      ...below,
      commonName: authorityName,
      key: intel.authorityKey,
      serial: 2,
      ca: true,
      pathLength: 0,
      usage: [5, 6],
      ...changes.authority,
    }),
    makeCertificate({
      ...dates,
      commonName: 'Intel SGX PCK Certificate',
      issuerName: authorityName,
      key: intel.pckKey,
      issuerKey: intel.authorityKey,
      serial: 4,
      ca: false,
      usage: [0, 1],
      extensions: [{ id: '1.2.840.113741.1.13.1', value: platformExtension(changes.platform) }],
      ...changes.pck,
    }),
    makeCertificate(signer),
  ]);
  const qeSigner =
    changes.qeSigner === undefined ? tcbSigner : await makeCertificate({ ...signer, ...changes.qeSigner });
  return { root, authority, pck, signer: tcbSigner, qeSigner };
}

export const simulatedPlatform: PlatformSpec = {
  ppid: filled(16, 0xee),
  fmspc: hexBytes('b0c06f000000'),
  pceId: zeros(2),
  components: [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
  pceSvn: 13,
};

function platformExtension(changes: Partial<PlatformSpec> = {}): Bytes {
  const { ppid, fmspc, pceId, components, pceSvn } = { ...simulatedPlatform, ...changes };
  const sgx = '1.2.840.113741.1.13.1';
  const pair = (id: string, value: Uint8Array) => sequence(oidOf(`${sgx}.${id}`), value);
  const tcb = [...components, pceSvn].map((svn, i) => pair(`2.${i + 1}`, integer(svn)));
  return sequence(
    pair('1', octetString(ppid)),
    pair('2', sequence(...tcb, pair('2.18', octetString(zeros(16))))),
    pair('3', octetString(pceId)),
    pair('4', octetString(fmspc)),
    pair('5', element(tags.enumerated, Uint8Array.of(0))),
  );
}

type Signer = SimulatedIntel & Certificates;

async function makeCollateral(intel: Signer, changes: TdxChanges): Promise<TdxCollateral> {
  const now = intel.madeAtMs;
  const dates = {
    thisUpdateMs: now - DAY_MS,
    nextUpdateMs: now + 29 * DAY_MS,
    revoked: [],
    extensions: [crlNumber],
  };
  const [rootCrl, pckCrl] = await Promise.all([
    makeCrl({ ...dates, issuerName: rootName, issuerKey: intel.rootKey, ...changes.rootCrl }),
    makeCrl({ ...dates, issuerName: authorityName, issuerKey: intel.authorityKey, ...changes.pckCrl }),
  ]);
  const tcbInfo = JSON.stringify({ ...simulatedTcbInfo(now), ...changes.tcbInfo });
  const qeIdentity = JSON.stringify({ ...simulatedQeIdentity(now), ...changes.qeIdentity });
  const same = (chain: readonly Bytes[]) => chain;
  return {
    root_ca_crl: hexOf(rootCrl),
    pck_crl: hexOf(pckCrl),
    tcb_info_issuer_chain: pemChain((changes.tcbChain ?? same)([intel.signer, intel.root])),
    tcb_info: tcbInfo,
    tcb_info_signature: hexOf(await signRaw(changes.tcbInfoKey ?? intel.signerKey, utf8(tcbInfo))),
    qe_identity_issuer_chain: pemChain((changes.qeChain ?? same)([intel.qeSigner, intel.root])),
    qe_identity: qeIdentity,
    qe_identity_signature: hexOf(await signRaw(changes.qeIdentityKey ?? intel.signerKey, utf8(qeIdentity))),
  };
}

const iso = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`;
const dated = (nowMs: number) => ({
  issueDate: iso(nowMs - DAY_MS),
  nextUpdate: iso(nowMs + 29 * DAY_MS),
  tcbEvaluationDataNumber: 17,
});
const upToDate = { tcbDate: '2024-03-13T00:00:00Z', tcbStatus: 'UpToDate' };
const outOfDate = {
  tcbDate: '2023-08-09T00:00:00Z',
  tcbStatus: 'OutOfDate',
  advisoryIDs: ['INTEL-SA-00837'],
};

/** The shape of Intel's "TCB Info V3", with two levels. */
export function simulatedTcbInfo(nowMs: number) {
  const svns = (values: readonly number[]) => Array.from({ length: 16 }, (_, i) => ({ svn: values[i] ?? 0 }));
  const level = (sgx: readonly number[], pcesvn: number, tdx: readonly number[], outcome: object) => ({
    tcb: { sgxtcbcomponents: svns(sgx), pcesvn, tdxtcbcomponents: svns(tdx) },
    ...outcome,
  });
  const module = { mrsigner: '00'.repeat(48), attributes: '00'.repeat(8), attributesMask: 'FF'.repeat(8) };
  return {
    id: 'TDX',
    version: 3,
    ...dated(nowMs),
    fmspc: 'B0C06F000000',
    pceId: '0000',
    tcbType: 0,
    tdxModule: module,
    tdxModuleIdentities: [
      {
        id: 'TDX_01',
        ...module,
        tcbLevels: [
          { tcb: { isvsvn: 4 }, ...upToDate },
          { tcb: { isvsvn: 2 }, ...outOfDate },
        ],
      },
    ],
    tcbLevels: [
      level([3, 3, 2, 2, 4, 1, 0, 5], 13, [5, 0, 2], upToDate),
      level([2, 2, 2, 2, 3, 1, 0, 5], 5, [5, 0, 2], outOfDate),
    ],
  };
}

export const simulatedQeIdentity = (nowMs: number) => ({
  id: 'TD_QE',
  version: 2,
  ...dated(nowMs),
  miscselect: '00000000',
  miscselectMask: 'FFFFFFFF',
  attributes: '11000000000000000000000000000000',
  attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
  mrsigner: QE_SIGNER.toUpperCase(),
  isvprodid: 2,
  tcbLevels: [
    { tcb: { isvsvn: 4 }, ...upToDate },
    { tcb: { isvsvn: 1 }, ...outOfDate },
  ],
});

async function makeQuote(intel: Signer, changes: TdxChanges): Promise<Bytes> {
  const version = changes.version ?? 4;
  const { keyType = 2, teeType = 0x81, vendor = VENDOR } = changes.header ?? {};
  const header = concatBytes(u16(version), u16(keyType), u32(teeType), zeros(4), hexBytes(vendor), zeros(20));
  const body = tdReport(changes);
  const frame = version === 4 ? zeros(0) : concatBytes(u16(changes.newer ? 3 : 2), u32(body.length));
  const signedPart = concatBytes(header, frame, body);
  const attestationKey = pointOf(intel.attestationKey).slice(1);
  const authData = filled(32, 7);
  const binding = await crypto.subtle.digest('SHA-256', concatBytes(attestationKey, authData));
  const report = qeReport(concatBytes(new Uint8Array(binding), zeros(32)), changes.qeReport);
  const chain = [intel.pck, intel.authority, intel.root];
  const pck = utf8(pemChain((changes.pckChain ?? ((same) => same))(chain)));
  const certification = concatBytes(
    report,
    await signRaw(changes.qeReportKey ?? intel.pckKey, report),
    u16(authData.length),
    authData,
    u16(5),
    u32(pck.length),
    pck,
  );
  const signature = await signRaw(changes.quoteKey ?? intel.attestationKey, signedPart);
  const data = concatBytes(signature, attestationKey, u16(6), u32(certification.length), certification);
  return concatBytes(signedPart, u32(data.length), data, changes.trailing ?? zeros(0));
}

function tdReport({ body = {}, image = {}, reportData = zeros(64), newer = false }: TdxChanges): Bytes {
  const measured = { ...simulatedTdxImage, ...image };
  const svn = Uint8Array.of(6, 1, 3, ...zeros(13));
  return concatBytes(
    body.teeTcbSvn ?? svn,
    filled(48, 0x5e),
    body.mrSignerSeam ?? zeros(48),
    body.seamAttributes ?? zeros(8),
    body.tdAttributes ?? Uint8Array.of(0, 0, 0, 0x10, 0, 0, 0, 0),
    Uint8Array.of(0xe7, 2, 6, 0, 0, 0, 0, 0),
    ...[measured.mrTd, measured.mrConfigId, measured.mrOwner, measured.mrOwnerConfig].map(hexBytes),
    ...measured.rtmr.map(hexBytes),
    reportData,
    ...(newer ? [body.teeTcbSvn2 ?? svn, body.mrServiceTd ?? zeros(48)] : []),
  );
}

function qeReport(binding: Bytes, changes: Partial<QeReportSpec> = {}): Bytes {
  const report = zeros(384);
  report.set(changes.miscSelect ?? zeros(4), 16);
  report.set(changes.attributes ?? Uint8Array.of(0x11), 48);
  report.set(changes.mrSigner ?? hexBytes(QE_SIGNER), 128);
  report.set(u16(changes.isvProdId ?? 2), 256);
  report.set(u16(changes.isvSvn ?? 6), 258);
  report.set(changes.reportData ?? binding, 320);
  return report;
}
