/** Collateral of a TDX quote from Intel's PCS (API version 4), or from a PCCS, which has the same addresses. */
import { pckPlatform } from '@tussah/attestation/tdx/pck-extension';
import type { TdxCollateral } from '@tussah/attestation/tdx/collateral';
import { parseQuote } from '@tussah/attestation/tdx/quote';
import { readCertificates } from '@tussah/attestation/x509/read-certificates';
import { hexOf } from '@tussah/protocol/bytes';
import { ok, type Result } from '@tussah/protocol/errors';
import {
  malformedCollateral,
  type CollateralFailureCode,
  type FetchCollateral,
  type Fetched,
} from './fetch-bounded.ts';

export interface TdxServices {
  /** Origin of the PCS or PCCS. */
  readonly pccs: string;
  /** Address of the root's CRL. A PCCS has it below its origin; Intel publishes it elsewhere. */
  readonly rootCrl: string;
}

export const intelServices: TdxServices = {
  pccs: 'https://api.trustedservices.intel.com',
  rootCrl: 'https://certificates.trustedservices.intel.com/IntelSGXRootCA.der',
};

/** Of a PCCS at this origin. */
export const pccsServices = (origin: string): TdxServices => ({
  pccs: origin,
  rootCrl: `${origin}/sgx/certification/v4/rootcacrl`,
});

/** `quote` is genuine, out of this machine's kernel; throws `Malformed` otherwise. */
export async function fetchTdxCollateral(
  quote: Uint8Array<ArrayBuffer>,
  { pccs, rootCrl }: TdxServices,
  fetchIt: FetchCollateral,
): Promise<Result<TdxCollateral, CollateralFailureCode>> {
  const [pck] = readCertificates(parseQuote(quote).pckChain);
  if (pck === undefined) return malformedCollateral('the quote has no PCK certificate');
  const { fmspc } = pckPlatform(pck);
  const issuer = new TextDecoder('latin1').decode(pck.issuer);
  const ca = issuer.includes('Processor') ? 'processor' : 'platform';
  const all = await Promise.all([
    fetchIt(`${pccs}/tdx/certification/v4/tcb?fmspc=${fmspc.toUpperCase()}`),
    fetchIt(`${pccs}/tdx/certification/v4/qe/identity`),
    fetchIt(`${pccs}/sgx/certification/v4/pckcrl?ca=${ca}&encoding=der`),
    fetchIt(rootCrl),
  ]);
  const [tcb, qe, pckCrl, root] = all;
  if (!tcb.ok) return tcb;
  if (!qe.ok) return qe;
  if (!pckCrl.ok) return pckCrl;
  if (!root.ok) return root;
  const tcbInfo = signedPart(tcb.value, 'tcbInfo', ['tcb-info-issuer-chain', 'sgx-tcb-info-issuer-chain']);
  const identity = signedPart(qe.value, 'enclaveIdentity', ['sgx-enclave-identity-issuer-chain']);
  if (tcbInfo === undefined) return malformedCollateral('the TCB info');
  if (identity === undefined) return malformedCollateral('the QE identity');
  return ok({
    root_ca_crl: hexOfCrl(root.value.bytes),
    pck_crl: hexOfCrl(pckCrl.value.bytes),
    tcb_info_issuer_chain: tcbInfo.chain,
    tcb_info: tcbInfo.text,
    tcb_info_signature: tcbInfo.signature,
    qe_identity_issuer_chain: identity.chain,
    qe_identity: identity.text,
    qe_identity_signature: identity.signature,
  });
}

interface SignedPart {
  /** The very text that was signed. */
  readonly text: string;
  readonly signature: string;
  /** PEM. */
  readonly chain: string;
}

/** `{"<member>":{...},"signature":"<hex>"}`: what is signed is cut out as it stands, not parsed and written again. */
function signedPart(
  { bytes, headers }: Fetched,
  member: string,
  chainHeaders: readonly string[],
): SignedPart | undefined {
  const body = new TextDecoder().decode(bytes);
  const match = new RegExp(
    `^\\s*\\{\\s*"${member}"\\s*:\\s*(\\{.*\\})\\s*,\\s*"signature"\\s*:\\s*"([0-9a-fA-F]{128})"\\s*\\}\\s*$`,
    's',
  ).exec(body);
  const header = chainHeaders.map((name) => headers.get(name)).find((value) => value !== null);
  const [, text, signature] = match ?? [];
  if (text === undefined || signature === undefined || header === undefined) return undefined;
  const chain = decoded(header);
  return chain === undefined ? undefined : { text, signature, chain };
}

/** The header is URL-encoded PEM. */
function decoded(header: string): string | undefined {
  try {
    return decodeURIComponent(header);
  } catch {
    return undefined;
  }
}

/** A PCCS hands CRLs out in hexadecimal, Intel in DER. */
function hexOfCrl(bytes: Uint8Array): string {
  const text = new TextDecoder('latin1').decode(bytes).trim();
  return /^(?:[0-9a-fA-F]{2})+$/.test(text) ? text.toLowerCase() : hexOf(bytes);
}
