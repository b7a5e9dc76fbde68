/** Whether Intel signed the collateral, and for now: CRLs, TCB info and QE identity. */
import { utf8 } from '../bytes/bytes.ts';
import { fromHex } from '../bytes/text-encodings.ts';
import { acceptedRoots, type Context } from '../context.ts';
import { isoOf } from '../steps/clock.ts';
import { verifyRaw } from '../x509/algorithms.ts';
import type { Certificate } from '../x509/certificate.ts';
import { checkChain, rootOf } from '../x509/chain.ts';
import { checkCrl } from '../x509/check-crl.ts';
import type { RevocationList } from '../x509/crl.ts';
import { derOfText, readCertificates } from '../x509/read-certificates.ts';
import {
  parseSigned,
  QeIdentitySchema,
  TcbInfoSchema,
  type QeIdentity,
  type TcbInfo,
  type TdxCollateral,
} from './collateral.ts';
import type { TdxRecord } from './plan.ts';
import { intelRoots } from './roots.ts';

/** The parts of the collateral that could be read; whether to believe them is in the record. */
export interface ReadCollateral {
  readonly tcbInfo: TcbInfo | undefined;
  readonly qeIdentity: QeIdentity | undefined;
  readonly crls: readonly RevocationList[];
  /** SHA-256 of the roots that its chains and the PCK chain end at. */
  readonly roots: readonly string[];
}

export async function checkCollateral(
  record: TdxRecord,
  collateral: TdxCollateral,
  pckChain: readonly Certificate[],
  context: Context,
): Promise<ReadCollateral> {
  const crls = await checkRevocation(record, collateral, pckChain, context);
  const tcbInfo = record.parse('tdx.tcb-info.format', 'TCB info for TDX, version 3', () =>
    parseSigned(TcbInfoSchema, collateral.tcb_info, 'TCB info'),
  );
  const qeIdentity = record.parse('tdx.qe-identity.format', 'the TD quoting enclave, version 2', () =>
    parseSigned(QeIdentitySchema, collateral.qe_identity, 'QE identity'),
  );
  const tcbText: SignedText = {
    pem: collateral.tcb_info_issuer_chain,
    text: collateral.tcb_info,
    signature: collateral.tcb_info_signature,
  };
  const qeText: SignedText = {
    pem: collateral.qe_identity_issuer_chain,
    text: collateral.qe_identity,
    signature: collateral.qe_identity_signature,
  };
  const [tcbChain, qeChain] = await Promise.all([
    checkSigner(record, { chain: 'tdx.tcb-chain', what: 'tdx.tcb-info' }, tcbText, crls.root, context),
    checkSigner(record, { chain: 'tdx.qe-chain', what: 'tdx.qe-identity' }, qeText, crls.root, context),
  ]);
  if (tcbInfo !== undefined) checkDates(record, 'tdx.tcb-info.dates', tcbInfo, context);
  if (qeIdentity !== undefined) checkDates(record, 'tdx.qe-identity.dates', qeIdentity, context);
  const roots = await checkOneRoot(record, [pckChain, tcbChain, qeChain]);
  return { tcbInfo, qeIdentity, crls: [crls.root, crls.pck].filter((list) => list !== undefined), roots };
}

/** The root's list is about the authorities and signers, the PCK authority's about PCK certificates. */
async function checkRevocation(
  record: TdxRecord,
  collateral: TdxCollateral,
  chain: readonly Certificate[],
  { clock }: Context,
) {
  const [pck, authority] = chain;
  const label = 'X509 CRL';
  const root = await checkCrl(
    record,
    'tdx.root-crl',
    () => derOfText(collateral.root_ca_crl, label),
    chain.at(-1),
    clock,
  );
  const list = await checkCrl(
    record,
    'tdx.pck-crl',
    () => derOfText(collateral.pck_crl, label),
    authority,
    clock,
  );
  if (pck !== undefined && list !== undefined)
    record.check('tdx.pck-chain.leaf-revocation', !list.revoked.has(pck.serial), revocation(pck));
  if (authority !== undefined && root !== undefined)
    record.check(
      'tdx.pck-chain.authority-revocation',
      !root.revoked.has(authority.serial),
      revocation(authority),
    );
  return { root, pck: list };
}

const revocation = ({ serial }: Certificate) => ({ expected: 'not revoked', got: `serial number ${serial}` });

interface SignedText {
  readonly pem: string;
  /** r and s in hexadecimal. */
  readonly signature: string;
  readonly text: string;
}

/** A PCK key belongs to a platform's owner: only TCB signing certificates, right below the root, sign collateral. */
async function checkSigner(
  record: TdxRecord,
  ids:
    | { readonly chain: 'tdx.tcb-chain'; readonly what: 'tdx.tcb-info' }
    | { readonly chain: 'tdx.qe-chain'; readonly what: 'tdx.qe-identity' },
  { pem, signature, text }: SignedText,
  rootCrl: RevocationList | undefined,
  context: Context,
): Promise<readonly Certificate[] | undefined> {
  const chain = record.parse(`${ids.chain}.format`, 'certificates in PEM', () => readCertificates(pem));
  const [signer] = chain ?? [];
  if (chain === undefined || signer === undefined) return undefined;
  const roots = acceptedRoots(intelRoots, context.policy);
  await checkChain(record, ids.chain, chain, { length: 2, roots }, context);
  record.check(`${ids.chain}.subject`, signer.commonName === 'Intel SGX TCB Signing', {
    expected: 'Intel SGX TCB Signing',
    got: signer.commonName,
  });
  if (rootCrl !== undefined)
    record.check(`${ids.chain}.revocation`, !rootCrl.revoked.has(signer.serial), revocation(signer));
  const raw = record.parse(`${ids.what}.signature`, 'hexadecimal', () => fromHex(signature, 'signature'));
  if (raw !== undefined)
    record.check(`${ids.what}.signature`, await verifyRaw(signer.key, 'ecdsa-sha256', raw, utf8(text)));
  return chain;
}

function checkDates(
  record: TdxRecord,
  id: 'tdx.tcb-info.dates' | 'tdx.qe-identity.dates',
  { issueDate, nextUpdate }: { readonly issueDate: number; readonly nextUpdate: number },
  { clock }: Context,
): void {
  record.check(id, clock.within(issueDate, nextUpdate), {
    expected: isoOf(clock.nowMs),
    got: `${isoOf(issueDate)} to ${isoOf(nextUpdate)}`,
  });
}

/** Genuine and simulated parts must not be mixed. */
async function checkOneRoot(
  record: TdxRecord,
  chains: readonly (readonly Certificate[] | undefined)[],
): Promise<readonly string[]> {
  const all = await Promise.all(chains.filter((chain) => chain !== undefined).map(rootOf));
  const roots = [...new Set(all)];
  record.check('tdx.one-root', roots.length === 1, { expected: 'one root', got: roots.join(', ') });
  return roots;
}
