/** All steps of a GPU's verification, in the order in which they are shown. */
import type { Plan, StepRecord } from '../steps/record.ts';
import { chainPlan } from '../x509/chain.ts';

const again = 'Collect new evidence from the GPU, and pass it on byte for byte.';
const ocspAgain = "Fetch responses of NVIDIA's OCSP service for every certificate between leaf and root.";
const nrasAgain = "Have NVIDIA's remote attestation service attest the same evidence again.";
const otherGpu =
  "Use a GPU in the mode and with the firmware demanded, or widen the policy's gpu section knowingly.";

const step = (title: string, remedy: string) => ({ title, remedy });

export const gpuPlan = {
  'gpu.report': step('The report can be read: SPDM 1.1 measurements, signed, all of them', again),
  'gpu.device': step('The report says which driver, VBIOS and firmware run', again),
  'gpu.chain.format': step("The device's chain can be read", again),
  ...chainPlan('gpu.chain', 'device chain', 'the NVIDIA Device Identity CA'),
  'gpu.report.signature': step('The report is signed by the device', again),
  'gpu.fwid.format': step('The leaf says which firmware its key belongs to', again),
  'gpu.fwid': step('The firmware in the report is the one that the leaf names', again),
  'gpu.nonce': step('The report answers the nonce', again),
  'gpu.mode': step('The GPU is in an allowed confidential-compute mode', otherGpu),
  'gpu.revocation': step('Whether the device is revoked is known', `${ocspAgain} Or: ${nrasAgain}`),
  'gpu.ocsp.coverage': step('Each certificate that can be revoked has an OCSP answer', ocspAgain),
  'gpu.ocsp.responder': step('The OCSP answers are by a responder that the issuer authorised', ocspAgain),
  'gpu.ocsp.signature': step('The signatures of the OCSP answers are right', ocspAgain),
  'gpu.ocsp.dates': step('The OCSP answers are current', ocspAgain),
  'gpu.ocsp.status': step('No certificate in the chain is revoked or on hold', 'Do not use this GPU.'),
  'gpu.nras.algorithm': step('The tokens are signed with ES384', nrasAgain),
  'gpu.nras.key': step(
    "The tokens name a key in the policy's nrasKeys",
    "Add NVIDIA's present key to gpu.nrasKeys.",
  ),
  'gpu.nras.signature': step('The signatures of the tokens are right', nrasAgain),
  'gpu.nras.claims': step('The tokens have all claims that are demanded', nrasAgain),
  'gpu.nras.issuer': step("The tokens are by NVIDIA's remote attestation service", nrasAgain),
  'gpu.nras.dates': step('The tokens are valid now', nrasAgain),
  'gpu.nras.nonce': step('The tokens are about this nonce', nrasAgain),
  'gpu.nras.submodule': step("The overall token vouches for the GPU's own", nrasAgain),
  'gpu.nras.device': step('The token is about this very GPU', nrasAgain),
  'gpu.nras.result': step('The overall result is a success', otherGpu),
  'gpu.nras.measurements': step('The measurements were right', otherGpu),
  'gpu.nras.debug': step('Debugging is disabled', otherGpu),
  'gpu.nras.secure-boot': step('The GPU has booted securely', otherGpu),
  'gpu.nras.revocation': step('No certificate in the chain was revoked', 'Do not use this GPU.'),
  'gpu.policy': step('The policy allows GPUs', 'Add a gpu section to the policy if it should.'),
  'gpu.collateral-age': step('OCSP answers or tokens are young enough', `${ocspAgain} Or: ${nrasAgain}`),
  'gpu.model': step('The model of the GPU is allowed', otherGpu),
  'gpu.platform': step(
    'The policy lists the GPU',
    "Add its chip id to the policy's gpu.platforms if it should be there.",
  ),
  'gpu.firmware': step('Driver and VBIOS are of allowed versions', otherGpu),
  'gpu.measurements': step('All measurements are those of the allowed driver and VBIOS', otherGpu),
} as const satisfies Plan<string>;

export type GpuStep = keyof typeof gpuPlan;
export type GpuRecord = StepRecord<GpuStep>;
