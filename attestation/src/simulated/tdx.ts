/**
 * Simulated TDX evidence: a quote with all its collateral under a root of its own. Every property can be changed before it is
 * signed, so that evidence is wrong in just that, and every signed part after it.
 */
import type { Bytes } from '../bytes/bytes.ts';
import { tags } from '../der/der.ts';
import type { TdxCollateral } from '../tdx/collateral.ts';
import { DAY_MS, makeCertificate, type CertificateSpec } from './certificates.ts';
import { element, integer, octetString, oidOf, sequence } from './der-writer.ts';
import { filled, hexBytes, zeros } from './fixed-bytes.ts';
import { authorityName, rootName, rootSpec, type SimulatedIntel } from './intel.ts';
import type { Certificates, PlatformSpec, TdxChanges } from './tdx-changes.ts';
import { makeCollateral } from './tdx-collateral.ts';
import { makeQuote } from './tdx-quote.ts';

export interface SimulatedTdx {
  readonly quote: Bytes;
  readonly collateral: TdxCollateral;
}

export const simulatedPpid = 'ee'.repeat(16);
export async function makeTdx(intel: SimulatedIntel, changes: TdxChanges = {}): Promise<SimulatedTdx> {
  const certificates = await makeCertificates(intel, changes);
  const signer = { ...intel, ...certificates };
  const collateral = await makeCollateral(signer, changes);
  return { quote: await makeQuote(signer, changes), collateral };
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
