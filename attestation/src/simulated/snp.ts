/** Simulated SEV-SNP evidence: a report with its VCEK, chain and CRL under a root of its own. */
import { concatBytes, utf8, type Bytes } from '../bytes/bytes.ts';
import { tags } from '../der/der.ts';
import type { SnpProduct } from '../policy/policy.ts';
import {
  crlNumber,
  DAY_MS,
  makeCertificate,
  makeCrl,
  pemChain,
  type CertificateChange,
  type CertificateSpec,
  type CrlChange,
  type ExtensionSpec,
} from './certificates.ts';
import { element, integer } from './der-writer.ts';
import { newKey, signRaw, type SimulatedKey } from './keys.ts';

export interface SimulatedAmd {
  readonly product: SnpProduct;
  readonly arkKey: SimulatedKey;
  readonly askKey: SimulatedKey;
  readonly vcekKey: SimulatedKey;
  readonly ark: Bytes;
  readonly madeAtMs: number;
}

/** RSA keys of 2048 bits, where AMD's have 4096: making those takes seconds. */
export async function newSimulatedAmd(nowMs: number, product: SnpProduct = 'Genoa'): Promise<SimulatedAmd> {
  const [arkKey, askKey, vcekKey] = await Promise.all([newKey('rsa'), newKey('rsa'), newKey('p384')]);
  const ark = await makeCertificate(arkSpec(arkKey, product, nowMs));
  return { product, arkKey, askKey, vcekKey, ark, madeAtMs: nowMs };
}

/** The same keys, for another product. */
export async function asProduct(amd: SimulatedAmd, product: SnpProduct): Promise<SimulatedAmd> {
  const ark = await makeCertificate(arkSpec(amd.arkKey, product, amd.madeAtMs));
  return { ...amd, product, ark };
}

const arkSpec = (key: SimulatedKey, product: SnpProduct, nowMs: number): CertificateSpec => ({
  commonName: `ARK-${product}`,
  issuerName: `ARK-${product}`,
  key,
  issuerKey: key,
  serial: 65_536,
  notBeforeMs: nowMs - 365 * DAY_MS,
  notAfterMs: nowMs + 3650 * DAY_MS,
  ca: true,
  usage: [5, 6],
});

export interface SnpChanges {
  readonly ark?: CertificateChange;
  readonly ask?: CertificateChange;
  readonly vcek?: CertificateChange;
  readonly crl?: CrlChange;
  /** Leaves the CRL out. */
  readonly withoutCrl?: boolean;
  /** In the VCEK. */
  readonly tcb?: Partial<Record<'bootloader' | 'tee' | 'snp' | 'microcode' | 'fmc', number>>;
  readonly hardwareId?: Uint8Array;
  readonly productName?: string;
  /** Of the report, before it is signed: bytes by their offset. */
  readonly report?: Readonly<Record<number, Uint8Array>>;
  readonly reportData?: Uint8Array;
  readonly reportKey?: SimulatedKey;
  readonly chain?: (chain: readonly Bytes[]) => readonly Bytes[];
}

export interface SimulatedSnp {
  readonly report: Bytes;
  readonly vcek: Bytes;
  readonly chain: Bytes;
  readonly crl: Bytes | undefined;
}

export const simulatedMeasurement = 'a5'.repeat(48);
const tcbInReport = { bootloader: 10, tee: 2, snp: 23, microcode: 84, fmc: 1 };
const AMD = '1.3.6.1.4.1.3704.1';
const chipIdBytes = (product: SnpProduct) => (product === 'Turin' ? 8 : 64);

export async function makeSnp(amd: SimulatedAmd, changes: SnpChanges = {}): Promise<SimulatedSnp> {
  const { product, madeAtMs: now } = amd;
  const dates = { notBeforeMs: now - 30 * DAY_MS, notAfterMs: now + 700 * DAY_MS };
  const [ark, ask, vcek, crl] = await Promise.all([
    changes.ark === undefined
      ? amd.ark
      : makeCertificate({ ...arkSpec(amd.arkKey, product, now), ...changes.ark }),
    makeCertificate({
      ...dates,
      commonName: `SEV-${product}`,
      issuerName: `ARK-${product}`,
      key: amd.askKey,
      issuerKey: amd.arkKey,
      serial: 65_537,
      ca: true,
      pathLength: 0,
      usage: [5],
      ...changes.ask,
    }),
    makeCertificate({
      ...dates,
      commonName: 'SEV-VCEK',
      issuerName: `SEV-${product}`,
      key: amd.vcekKey,
      issuerKey: amd.askKey,
      serial: 0,
      extensions: vcekExtensions(product, changes),
      ...changes.vcek,
    }),
    makeCrl({
      issuerName: `ARK-${product}`,
      issuerKey: amd.arkKey,
      thisUpdateMs: now - DAY_MS,
      nextUpdateMs: now + 300 * DAY_MS,
      revoked: [],
      extensions: [crlNumber],
      ...changes.crl,
    }),
  ]);
  const chain = (changes.chain ?? ((same) => same))([ask, ark]);
  return {
    report: await makeReport(amd, changes),
    vcek,
    chain: utf8(pemChain(chain)),
    crl: changes.withoutCrl === true ? undefined : crl,
  };
}

function vcekExtensions(product: SnpProduct, changes: SnpChanges): ExtensionSpec[] {
  const tcb = { ...tcbInReport, ...changes.tcb };
  const svn = (id: string, value: number): ExtensionSpec => ({ id: `${AMD}.3.${id}`, value: integer(value) });
  return [
    { id: `${AMD}.1`, value: integer(1) },
    { id: `${AMD}.2`, value: element(tags.ia5String, utf8(changes.productName ?? `${product}-B0`)) },
    svn('1', tcb.bootloader),
    svn('2', tcb.tee),
    svn('3', tcb.snp),
    svn('8', tcb.microcode),
    ...(product === 'Turin' ? [svn('9', tcb.fmc)] : []),
    {
      id: `${AMD}.4`,
      value: (changes.hardwareId ?? new Uint8Array(chipIdBytes(product)).fill(0xc1)) as Bytes,
    },
  ];
}

const VERSION = 3;

/** Offsets of AMD 56860, ATTESTATION_REPORT. */
async function makeReport({ product, vcekKey }: SimulatedAmd, changes: SnpChanges): Promise<Bytes> {
  const report = new Uint8Array(0x4a0);
  const view = new DataView(report.buffer);
  view.setUint32(0, VERSION, true);
  view.setBigUint64(8, 0x30000n, true);
  view.setUint32(0x34, 1, true);
  // SMT, ECC, and the check for aliases made.
  view.setBigUint64(0x40, 0x25n, true);
  report.set(changes.reportData ?? new Uint8Array(64), 0x50);
  report.fill(0xa5, 0x90, 0xc0);
  for (const at of [0x38, 0x180, 0x1e0, 0x1f0]) report.set(tcbBytes(product), at);
  for (const at of [0x1e8, 0x1ec]) report.set([4, 55, 1], at);
  if ((changes.report?.[0]?.[0] ?? VERSION) >= 3) report.set(cpuid[product], 0x188);
  report.fill(0xc1, 0x1a0, 0x1a0 + chipIdBytes(product));
  for (const [offset, bytes] of Object.entries(changes.report ?? {})) report.set(bytes, Number(offset));
  const signature = await signRaw(changes.reportKey ?? vcekKey, report.subarray(0, 0x2a0));
  report.set(signature.slice(0, 48).reverse(), 0x2a0);
  report.set(signature.slice(48).reverse(), 0x2a0 + 72);
  return report;
}

const cpuid: Readonly<Record<SnpProduct, Uint8Array>> = {
  Milan: Uint8Array.of(0x19, 0x01, 0x01),
  Genoa: Uint8Array.of(0x19, 0x11, 0x01),
  Turin: Uint8Array.of(0x1a, 0x02, 0x01),
};

function tcbBytes(product: SnpProduct): Bytes {
  const { bootloader, tee, snp, microcode, fmc } = tcbInReport;
  return product === 'Turin'
    ? Uint8Array.of(fmc, bootloader, tee, snp, 0, 0, 0, microcode)
    : concatBytes(Uint8Array.of(bootloader, tee, 0, 0, 0, 0, snp, microcode));
}
