/** All steps of an SEV-SNP verification, in the order in which they are shown. */
import type { Plan, StepRecord } from '../steps/record.ts';
import { chainPlan } from '../x509/chain.ts';
import { crlPlan } from '../x509/check-crl.ts';

const reportAgain = 'Take a new report, and pass it on byte for byte.';
const vcekAgain =
  "Fetch the VCEK for this chip and TCB version, and its chain, from AMD's key distribution service.";
const otherGuest = 'Start the guest with the policy that is demanded.';
const otherPlatform = "Use another platform, or widen the policy's snp section knowingly.";

const step = (title: string, remedy: string) => ({ title, remedy });

export const snpPlan = {
  'snp.report': step('The report can be read: version 2 to 5, all parts known', reportAgain),
  'snp.signature-algorithm': step('The report is signed by ECDSA P-384 with SHA-384', reportAgain),
  'snp.signing-key': step('The report is signed by a VCEK, and the chip is named', reportAgain),
  'snp.chain.format': step('The VCEK and its chain can be read', vcekAgain),
  ...chainPlan('snp.chain', 'VCEK chain', "the product's AMD root key"),
  'snp.vcek': step('The VCEK says which chip and TCB version it is for', vcekAgain),
  'snp.vcek.subject': step('The leaf is a VCEK of its product', vcekAgain),
  ...crlPlan('snp.crl', "AMD root's CRL"),
  'snp.chain.revocation': step('The signer of VCEKs is not revoked', 'Do not use this platform.'),
  'snp.report.signature': step('The report is signed by the VCEK', reportAgain),
  'snp.chip-id': step('The VCEK is for the chip that the report names', vcekAgain),
  'snp.tcb': step('The VCEK is for the TCB version that the report names', vcekAgain),
  'snp.processor': step('The processor is of the product that the VCEK names', vcekAgain),
  'snp.firmware': step('The platform has committed to the firmware that it runs', otherPlatform),
  'snp.platform-info': step(
    'The platform has the protections demanded, and no state that is unknown here',
    otherPlatform,
  ),
  'snp.product': step('The product is allowed', otherPlatform),
  'snp.guest.debug': step('The guest is not in debug mode', otherGuest),
  'snp.guest.migration': step('No migration agent can take the guest over', otherGuest),
  'snp.guest.policy': step('The guest policy has no bit that is unknown here', otherGuest),
  'snp.guest.protections': step(
    'The guest policy demands the protections that it should, and allows no more than it should',
    otherGuest,
  ),
  'snp.vmpl': step(
    'The report was asked for at an allowed privilege level',
    'Ask for the report at that level.',
  ),
  'snp.policy': step('The policy allows SEV-SNP', 'Add an snp section to the policy if it should.'),
  'snp.tcb-floor': step('The TCB version is high enough, and was when the guest was started', otherPlatform),
  'snp.collateral-age': step('The CRL is young enough', "Fetch AMD's CRL again."),
  'snp.platform': step(
    'The policy lists the chip',
    "Add its CHIP_ID to the policy's snp.platforms if it should be there.",
  ),
  'snp.image': step('The measurement is that of an allowed image', 'Run an image that the policy lists.'),
  'snp.report-data': step(
    'The report data is what it should be',
    'Bind the keys and settings that are presented.',
  ),
} as const satisfies Plan<string>;

export type SnpStep = keyof typeof snpPlan;
export type SnpRecord = StepRecord<SnpStep>;
