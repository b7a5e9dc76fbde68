/** OCSP responses (RFC 6960) for a GPU's certificates from NVIDIA's responder, to be stapled. */
import { toBase64 } from '@tussah/attestation/bytes/text-encodings';
import { element, integer, octetString, oidOf, sequence } from '@tussah/attestation/simulated/der-writer';
import type { Certificate } from '@tussah/attestation/x509/certificate';
import { parseOcspResponse } from '@tussah/attestation/x509/ocsp';
import { readCertificates } from '@tussah/attestation/x509/read-certificates';
import { bytesOfHex } from '@tussah/protocol/bytes';
import { ok, type Result } from '@tussah/protocol/errors';
import { malformedCollateral, type CollateralFailureCode, type FetchCollateral } from './fetch-bounded.ts';

export const nvidiaOcsp = 'https://ocsp.ndis.nvidia.com';

const SHA_384 = '2.16.840.1.101.3.4.2.2';
const DER_NULL = element(0x05);

/**
 * Responses in base64 for all certificates between leaf and root: the device makes its leaf itself, and nobody revokes a
 * root. `certificates` is PEM; throws `Malformed` for anything else.
 */
export async function fetchGpuOcsp(
  certificates: Uint8Array<ArrayBuffer>,
  responder: string,
  fetchIt: FetchCollateral,
): Promise<Result<readonly string[], CollateralFailureCode>> {
  const chain = readCertificates(certificates);
  const staples: string[] = [];
  for (const [i, certificate] of chain.entries()) {
    const issuer = chain[i + 1];
    if (i === 0 || issuer === undefined) continue;
    const body = await ocspRequest(certificate, issuer);
    const headers = { 'content-type': 'application/ocsp-request', accept: 'application/ocsp-response' };
    const fetched = await fetchIt(responder, { method: 'POST', headers, body });
    if (!fetched.ok) return fetched;
    if (!isAbout(fetched.value.bytes, certificate))
      return malformedCollateral('an OCSP response about another certificate, or none');
    staples.push(toBase64(fetched.value.bytes));
  }
  return ok(staples);
}

/** Section 4.1.1, without a nonce: responses may come out of the responder's cache, and their dates are checked. */
export async function ocspRequest(
  certificate: Certificate,
  issuer: Certificate,
): Promise<Uint8Array<ArrayBuffer>> {
  const sha384 = async (bytes: Uint8Array<ArrayBuffer>) =>
    new Uint8Array(await crypto.subtle.digest('SHA-384', bytes));
  const { serial } = certificate;
  const serialBytes = bytesOfHex(serial.length % 2 === 0 ? serial : `0${serial}`) ?? new Uint8Array();
  const certId = sequence(
    sequence(oidOf(SHA_384), DER_NULL),
    octetString(await sha384(issuer.subject)),
    octetString(await sha384(issuer.key.point)),
    integer(serialBytes),
  );
  return sequence(sequence(sequence(sequence(certId))));
}

/** What it says of the certificate is for verifiers; that it speaks of it at all is not for them to find out. */
function isAbout(bytes: Uint8Array<ArrayBuffer>, { serial }: Certificate): boolean {
  try {
    return parseOcspResponse(bytes).answer.serial === serial;
  } catch {
    return false;
  }
}
