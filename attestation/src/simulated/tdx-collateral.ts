/** Simulated collateral of a TDX quote: CRLs, TCB info and QE identity. */
import { hexOf } from '@tussah/protocol/bytes';
import { utf8, type Bytes } from '../bytes/bytes.ts';
import type { TdxCollateral } from '../tdx/collateral.ts';
import { crlNumber, DAY_MS, makeCrl, pemChain } from './certificates.ts';
import { authorityName, qeSigner, rootName } from './intel.ts';
import { signRaw } from './keys.ts';
import type { TdxChanges, TdxSigner } from './tdx-changes.ts';

export async function makeCollateral(intel: TdxSigner, changes: TdxChanges): Promise<TdxCollateral> {
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
  mrsigner: qeSigner.toUpperCase(),
  isvprodid: 2,
  tcbLevels: [
    { tcb: { isvsvn: 4 }, ...upToDate },
    { tcb: { isvsvn: 1 }, ...outOfDate },
  ],
});
