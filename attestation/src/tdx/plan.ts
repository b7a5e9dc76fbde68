/** All steps of a TDX verification, in the order in which they are shown. */
import type { Plan, StepRecord } from '../steps/record.ts';
import { chainPlan } from '../x509/chain.ts';
import { crlPlan } from '../x509/check-crl.ts';

const quoteAgain = 'Take a new quote, and pass it on byte for byte.';
const collateralAgain = "Fetch the collateral for this quote again from Intel's PCS or a cache of it.";
const otherTd = 'Start the trust domain with the attributes that are demanded.';
const otherPlatform =
  "Update the platform's firmware and TDX module, or widen the policy's tdx section knowingly.";

const step = (title: string, remedy: string) => ({ title, remedy });

export const tdxPlan = {
  'tdx.quote': step('The quote can be read: version 4 or 5, all parts known', quoteAgain),
  'tdx.length': step('Nothing but padding with zeros follows the quote', quoteAgain),
  'tdx.attestation-key-type': step('The attestation key is an ECDSA P-256 key', quoteAgain),
  'tdx.tee-type': step('The quote is from a TDX trust domain', quoteAgain),
  'tdx.qe-vendor': step("The quoting enclave is Intel's", quoteAgain),
  'tdx.collateral': step('The collateral can be read', collateralAgain),
  'tdx.pck-chain.format': step('The PCK chain in the quote can be read', quoteAgain),
  ...chainPlan('tdx.pck-chain', 'PCK chain', 'the Intel SGX Root CA'),
  'tdx.pck-chain.subject': step('The leaf is a PCK certificate', quoteAgain),
  'tdx.pck-chain.authority': step(
    "The leaf is issued by Intel's platform or processor authority",
    quoteAgain,
  ),
  'tdx.pck-chain.platform': step('The PCK certificate says which platform it is for', quoteAgain),
  ...crlPlan('tdx.root-crl', "root's CRL"),
  ...crlPlan('tdx.pck-crl', "PCK authority's CRL"),
  'tdx.pck-chain.leaf-revocation': step('The PCK certificate is not revoked', 'Do not use this platform.'),
  'tdx.pck-chain.authority-revocation': step('The PCK authority is not revoked', 'Do not use this platform.'),
  'tdx.tcb-chain.format': step("The TCB info's chain can be read", collateralAgain),
  ...chainPlan('tdx.tcb-chain', "TCB info's chain", 'the Intel SGX Root CA'),
  'tdx.tcb-chain.subject': step('The TCB info is signed by a TCB signing certificate', collateralAgain),
  'tdx.tcb-chain.revocation': step("The TCB info's signer is not revoked", collateralAgain),
  'tdx.tcb-info.format': step('The TCB info can be read: TDX, version 3', collateralAgain),
  'tdx.tcb-info.signature': step('The signature of the TCB info is right', collateralAgain),
  'tdx.tcb-info.dates': step('The TCB info is current', collateralAgain),
  'tdx.tcb-info.fmspc': step("The TCB info is about this platform's family", collateralAgain),
  'tdx.tcb-info.pce-id': step("The TCB info is about this platform's PCE", collateralAgain),
  'tdx.qe-chain.format': step("The QE identity's chain can be read", collateralAgain),
  ...chainPlan('tdx.qe-chain', "QE identity's chain", 'the Intel SGX Root CA'),
  'tdx.qe-chain.subject': step('The QE identity is signed by a TCB signing certificate', collateralAgain),
  'tdx.qe-chain.revocation': step("The QE identity's signer is not revoked", collateralAgain),
  'tdx.qe-identity.format': step('The QE identity can be read: TD_QE, version 2', collateralAgain),
  'tdx.qe-identity.signature': step('The signature of the QE identity is right', collateralAgain),
  'tdx.qe-identity.dates': step('The QE identity is current', collateralAgain),
  'tdx.one-root': step('All chains end at the same root', collateralAgain),
  'tdx.qe-report.signature': step("The quoting enclave's report is signed by the platform", quoteAgain),
  'tdx.qe-report.binding': step("The quoting enclave's report names the attestation key", quoteAgain),
  'tdx.qe-report.misc-select': step("The quoting enclave's MISCSELECT is Intel's", otherPlatform),
  'tdx.qe-report.attributes': step("The quoting enclave's attributes are Intel's", otherPlatform),
  'tdx.qe-report.signer': step("The quoting enclave's signer is Intel", otherPlatform),
  'tdx.qe-report.product': step('The quoting enclave is the one for TDX', otherPlatform),
  'tdx.quote.signature': step('The quote is signed by the attestation key', quoteAgain),
  'tdx.tcb.platform': step('Intel knows a TCB level that the platform reaches', otherPlatform),
  'tdx.tcb.qe': step('Intel knows a TCB level that the quoting enclave reaches', otherPlatform),
  'tdx.module.identity': step('Intel knows the TDX module', otherPlatform),
  'tdx.module.signer': step('The TDX module is signed by Intel', otherPlatform),
  'tdx.module.attributes': step("The TDX module's attributes are Intel's", otherPlatform),
  'tdx.module.level': step('Intel knows a TCB level that the TDX module reaches', otherPlatform),
  'tdx.tcb.status': step(
    'The TCB status of platform, quoting enclave and module, merged into one, is allowed',
    otherPlatform,
  ),
  'tdx.td.debug': step('The trust domain is not in debug mode', otherTd),
  'tdx.td.sept-ve-disable': step('The host cannot inject exceptions on memory accesses', otherTd),
  'tdx.td.attributes': step('The trust domain has no attribute that is unknown here', otherTd),
  'tdx.td.xfam': step('The trust domain has no extended feature that is unknown here', otherTd),
  'tdx.td.service': step('No service TD can move or change the trust domain', otherTd),
  'tdx.policy': step('The policy allows TDX', 'Add a tdx section to the policy if it should.'),
  'tdx.evaluation-number': step("The collateral's evaluation number is high enough", collateralAgain),
  'tdx.collateral-age': step('The collateral is young enough', collateralAgain),
  'tdx.tcb-date': step('The TCB levels are of the date demanded, or later', otherPlatform),
  'tdx.platform': step(
    'The policy lists the platform',
    "Add its PPID to the policy's tdx.platforms if it should be there.",
  ),
  'tdx.image': step('The measurements are those of an allowed image', 'Run an image that the policy lists.'),
  'tdx.report-data': step(
    'The report data is what it should be',
    'Bind the keys and settings that are presented.',
  ),
} as const satisfies Plan<string>;

export type TdxStep = keyof typeof tdxPlan;
export type TdxRecord = StepRecord<TdxStep>;
