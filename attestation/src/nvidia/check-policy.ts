/** What the policy demands of a GPU beyond being genuine. */
import { hexOf } from '@tussah/protocol/bytes';
import type { Context } from '../context.ts';
import type { GpuMode, GpuPolicy, GpuReference } from '../policy/policy.ts';
import { isoOf, type Clock } from '../steps/clock.ts';
import type { Chip, Device } from './device.ts';
import type { GpuRecord } from './plan.ts';
import type { SpdmReport } from './spdm.ts';

/** Protected PCIe leaves NVLink in the clear and relies on switches, which nothing here verifies. */
const defaultModes: readonly GpuMode[] = ['passthrough'];

export function checkMode(record: GpuRecord, { mode }: Device, policy: GpuPolicy | undefined): void {
  const modes = policy?.modes ?? defaultModes;
  record.check('gpu.mode', mode !== undefined && modes.includes(mode), {
    expected: modes.join(' or '),
    got: mode ?? 'unknown',
  });
}

export interface GpuSubject {
  readonly report: SpdmReport | undefined;
  readonly device: Device | undefined;
  readonly chip: Chip | undefined;
  /** When OCSP answers or tokens were given. */
  readonly givenAtMs: readonly number[];
}

export function checkGpuPolicy(record: GpuRecord, subject: GpuSubject, { policy, clock }: Context): void {
  if (policy === undefined) {
    for (const id of ['policy', 'collateral-age', 'model', 'platform', 'firmware', 'measurements'] as const)
      record.waive(`gpu.${id}`);
    return;
  }
  const { gpu } = policy;
  record.check('gpu.policy', gpu !== undefined, { expected: 'a gpu section', got: policy.name });
  checkAge(record, subject.givenAtMs, policy.collateralAgeMaxMs, clock);
  const { report, device, chip } = subject;
  if (gpu === undefined) return;
  if (chip !== undefined) checkChip(record, chip, gpu);
  if (device !== undefined && report !== undefined) checkMeasurements(record, report, device, gpu.references);
}

function checkAge(record: GpuRecord, givenAtMs: readonly number[], maxMs: number, clock: Clock): void {
  const old = givenAtMs.filter((given) => !clock.within(given, given + maxMs));
  record.check('gpu.collateral-age', givenAtMs.length > 0 && old.length === 0, {
    expected: `given within ${maxMs} ms before ${isoOf(clock.nowMs)}`,
    got: givenAtMs.map(isoOf).join(', ') || 'nothing',
  });
}

function checkChip(record: GpuRecord, { model, id }: Chip, { models, platforms }: GpuPolicy): void {
  record.check('gpu.model', models.includes(model), { expected: models.join(' or '), got: model });
  if (platforms === undefined) record.waive('gpu.platform');
  else
    record.check('gpu.platform', platforms.includes(id), {
      expected: `one of ${platforms.length} GPUs`,
      got: id,
    });
}

/** NVIDIA's verifier leaves this one out when the first video decoder is off: index 35 of the manifest. */
const NVDEC0_MEASUREMENT = 36;

function checkMeasurements(
  record: GpuRecord,
  report: SpdmReport,
  device: Device,
  references: readonly GpuReference[],
): void {
  const right = references.filter(({ driver, vbios }) => driver === device.driver && vbios === device.vbios);
  record.check('gpu.firmware', right.length > 0, {
    expected: references.map(({ driver, vbios }) => `driver ${driver}, VBIOS ${vbios}`).join(' or '),
    got: `driver ${device.driver}, VBIOS ${device.vbios}`,
  });
  const [closest] = right
    .map((reference) => mismatches(reference, report, device))
    .toSorted((a, b) => a.length - b.length);
  if (closest === undefined) return;
  record.check('gpu.measurements', closest.length === 0, {
    expected: `${report.measurements.size} measurements, each in the reference or ignored by it`,
    got: closest.length === 0 ? 'all of them' : `other values at ${closest.join(', ')}`,
  });
}

/** Indexes in the report or in the reference at which they differ. What the reference does not name must not be there. */
function mismatches(
  { measurements, ignored }: GpuReference,
  report: SpdmReport,
  { nvdec0 }: Device,
): number[] {
  const indexes = new Set([...report.measurements.keys(), ...Object.keys(measurements).map(Number)]);
  return [...indexes]
    .filter((index) => !ignored.includes(index))
    .filter((index) => nvdec0 || index !== NVDEC0_MEASUREMENT)
    .filter((index) => {
      const value = report.measurements.get(index);
      return value === undefined || measurements[index]?.includes(hexOf(value)) !== true;
    });
}
