/**
 * Verifies a GPU's evidence, offline: DMTF DSP0274 (SPDM) 1.1, NVIDIA's attestation SDK, and revocation by stapled OCSP
 * responses or a token of NVIDIA's remote attestation service. Evidence whose revocation is unknown is refused.
 */
import { hexOf } from '@tussah/protocol/bytes';
import { equalBytes, type Bytes } from '../bytes/bytes.ts';
import { acceptedRoots, type Context } from '../context.ts';
import { StepRecord } from '../steps/record.ts';
import type { PartVerdict, Unused } from '../verdict.ts';
import { verifyRaw } from '../x509/algorithms.ts';
import type { Certificate } from '../x509/certificate.ts';
import { checkChain, rootOf } from '../x509/chain.ts';
import { readCertificates } from '../x509/read-certificates.ts';
import { checkNras } from './check-nras.ts';
import { checkOcsp } from './check-ocsp.ts';
import { checkGpuPolicy, checkMode } from './check-policy.ts';
import { certifiedFwid, chipOf, readDevice, type Device } from './device.ts';
import { gpuPlan, type GpuRecord, type GpuStep } from './plan.ts';
import { noStaple, type Revocation, type Staple } from './revocation.ts';
import { nvidiaRoots } from './roots.ts';
import { parseSpdmReport, type SpdmReport } from './spdm.ts';

export interface GpuEvidence {
  /** SPDM request and response. */
  readonly report: Uint8Array;
  /** PEM or DER, leaf first. */
  readonly certificates: Uint8Array;
  /** 32 bytes that the report has to answer. */
  readonly nonce: Uint8Array;
  /** Undefined leaves revocation unknown. */
  readonly revocation?: Revocation | undefined;
}

export interface GpuFacts extends Unused {
  /** Of the chip, as in `Chip`. */
  readonly chipId: string;
}

const CHAIN_LENGTH = 5;

export async function verifyGpu(evidence: GpuEvidence, context: Context): Promise<PartVerdict<GpuFacts>> {
  const record: GpuRecord = new StepRecord(gpuPlan);
  const report = record.parse('gpu.report', 'an SPDM report', () =>
    parseSpdmReport(evidence.report as Bytes),
  );
  const device = report && record.parse('gpu.device', 'fields 3, 6 and 20', () => readDevice(report));
  const chain = record.parse('gpu.chain.format', 'certificates in PEM or DER', () =>
    readCertificates(evidence.certificates),
  );
  const [leaf] = chain ?? [];
  if (chain) {
    const roots = acceptedRoots(nvidiaRoots, context.policy);
    await checkChain(record, 'gpu.chain', chain, { length: CHAIN_LENGTH, roots }, context);
  }
  if (report && leaf) await checkReport(record, report, leaf);
  if (device && leaf) checkFwid(record, device, leaf);
  if (report)
    record.check('gpu.nonce', equalBytes(report.nonce, evidence.nonce), {
      expected: hexOf(evidence.nonce),
      got: hexOf(report.nonce),
    });
  if (device) checkMode(record, device, context.policy?.gpu);
  const { givenAtMs, unused } = chain ? await checkRevocation(record, evidence, chain, context) : noStaple;
  const chip = chain && (await chipOf(chain));
  checkGpuPolicy(record, { report, device, chip, givenAtMs }, context);
  const root = chain && (await rootOf(chain));
  return {
    ...record.outcome(),
    claims: {
      kind: 'gpu',
      simulated: root !== undefined && !nvidiaRoots.some((pinned) => pinned === root),
      ...(chip && { model: chip.model, chip: chip.id }),
      ...(leaf && { serial: leaf.serial }),
      ...(device && { driver: device.driver, vbios: device.vbios, mode: device.mode ?? null }),
      ...(report && { nonce: hexOf(report.nonce), measurements: report.measurements.size }),
    },
    facts: chip && { chipId: chip.id, unused },
  };
}

async function checkReport(record: GpuRecord, report: SpdmReport, leaf: Certificate): Promise<void> {
  const signed = await verifyRaw(leaf.key, 'ecdsa-sha384', report.signature, report.signed);
  record.check('gpu.report.signature', signed);
}

function checkFwid(record: GpuRecord, device: Device, leaf: Certificate): void {
  const certified = record.parse('gpu.fwid.format', 'an FWID extension', () => certifiedFwid(leaf));
  if (certified !== undefined)
    record.check('gpu.fwid', equalBytes(certified, device.fwid), {
      expected: hexOf(certified),
      got: hexOf(device.fwid),
    });
}

const isOcsp = (id: GpuStep) => id.startsWith('gpu.ocsp.');
const isNras = (id: GpuStep) => id.startsWith('gpu.nras.');

/** One of the two ways; the steps of the other are not asked for. */
async function checkRevocation(
  record: GpuRecord,
  { revocation, nonce }: GpuEvidence,
  chain: readonly Certificate[],
  { policy, clock }: Context,
): Promise<Staple> {
  const ids = Object.keys(gpuPlan) as GpuStep[];
  const waive = (is: (id: GpuStep) => boolean) => ids.filter(is).forEach((id) => record.waive(id));
  const [leaf] = chain;
  if (revocation === undefined || leaf === undefined) {
    // Nothing can be asked of what is not there; that it is not there refuses.
    waive(isOcsp);
    waive(isNras);
    return noStaple;
  }
  if ('ocsp' in revocation) {
    waive(isNras);
    return checkOcsp(record, revocation.ocsp, chain, clock);
  }
  waive(isOcsp);
  return checkNras(record, revocation.nras, { leaf, nonce, keys: policy?.gpu?.nrasKeys ?? [] }, clock);
}
