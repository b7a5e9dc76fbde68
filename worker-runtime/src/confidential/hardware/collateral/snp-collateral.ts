/** Certificates and CRL of a SEV-SNP report from AMD's Key Distribution Service (AMD 57230, chapter 4). */
import { snpProducts, type SnpProduct } from '@tussah/attestation/policy/policy';
import { parseSnpReport } from '@tussah/attestation/snp/report';
import { isModelOf, tcbOf } from '@tussah/attestation/snp/tcb';
import { hexOf } from '@tussah/protocol/bytes';
import { ok, type Result } from '@tussah/protocol/errors';
import { malformedCollateral, type CollateralFailureCode, type FetchCollateral } from './fetch-bounded.ts';

export const amdKds = 'https://kdsintf.amd.com';

export interface SnpCollateral {
  /** DER. */
  readonly vcek: Uint8Array<ArrayBuffer>;
  /** PEM: ASK, then ARK. */
  readonly chain: Uint8Array<ArrayBuffer>;
  /** DER. */
  readonly crl: Uint8Array<ArrayBuffer>;
}

/** `report` is genuine, out of this machine's kernel; throws `Malformed` otherwise. */
export async function fetchSnpCollateral(
  report: Uint8Array<ArrayBuffer>,
  kds: string,
  fetchIt: FetchCollateral,
): Promise<Result<SnpCollateral, CollateralFailureCode>> {
  const { cpuid, chipId, reportedTcb } = parseSnpReport(report);
  const product = cpuid && snpProducts.find((each) => isModelOf(each, cpuid));
  if (product === undefined) return malformedCollateral('the report does not name a product that is known');
  const [vcek, chain, crl] = await Promise.all([
    fetchIt(`${kds}${vcekPath(product, chipId, reportedTcb)}`),
    fetchIt(`${kds}/vcek/v1/${product}/cert_chain`),
    fetchIt(`${kds}/vcek/v1/${product}/crl`),
  ]);
  if (!vcek.ok) return vcek;
  if (!chain.ok) return chain;
  if (!crl.ok) return crl;
  return ok({ vcek: vcek.value.bytes, chain: chain.value.bytes, crl: crl.value.bytes });
}

/** Turin's chips have an id of 8 bytes and one part of the TCB more. */
export function vcekPath(product: SnpProduct, chipId: Uint8Array, reportedTcb: Uint8Array): string {
  const { fmc, bootloader, tee, snp, microcode } = tcbOf(product, reportedTcb);
  const id = hexOf(product === 'Turin' ? chipId.subarray(0, 8) : chipId);
  const parts = {
    ...(product === 'Turin' ? { fmcSPL: fmc } : {}),
    blSPL: bootloader,
    teeSPL: tee,
    snpSPL: snp,
    ucodeSPL: microcode,
  };
  const query = Object.entries(parts).map(([name, value]) => `${name}=${String(value).padStart(2, '0')}`);
  return `/vcek/v1/${product}/${id}?${query.join('&')}`;
}
