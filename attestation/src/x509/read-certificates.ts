/** Certificates and CRLs out of what they come in: PEM, or DER, one or several in a row. */
import { latin1, type Bytes } from '../bytes/bytes.ts';
import { fromBase64, fromHex, pemBlocks, pemBlocksWithin } from '../bytes/text-encodings.ts';
import { DerReader, tags } from '../der/der.ts';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';
import { parseCertificate, type Certificate } from './certificate.ts';

/** Throws `Malformed`, also when there is none. */
export function readCertificates(input: Uint8Array | string): Certificate[] {
  const ders =
    typeof input === 'string' ? pemBlocks(input, 'CERTIFICATE', limits.certificates) : derOrPem(input);
  demand(ders.length > 0, 'no certificate');
  return ders.map(parseCertificate);
}

function derOrPem(bytes: Uint8Array): Bytes[] {
  if (bytes[0] !== tags.sequence) return pemBlocks(latin1(bytes), 'CERTIFICATE', limits.certificates);
  const ders: Bytes[] = [];
  for (const reader = new DerReader(bytes); !reader.done;) {
    demand(ders.length < limits.certificates, `more than ${limits.certificates} certificates`);
    ders.push(reader.expect(tags.sequence, 'certificate').raw);
  }
  return ders;
}

/** DER as it stands in JSON: PEM, hexadecimal or base64. */
export function derOfText(text: string, label: string): Bytes {
  if (text.includes('-----BEGIN')) {
    const [first, ...more] = pemBlocks(text, label, limits.certificates);
    demand(first !== undefined && more.length === 0, `${label}: exactly one PEM block is wanted`);
    return first;
  }
  return /^[0-9a-fA-F]+$/.test(text) ? fromHex(text, label) : fromBase64(text, label);
}

/** The DER of all CRLs in a file, which may be an archive with more in it; none if there is none. */
export function readCrls(input: Uint8Array): Bytes[] {
  if (input[0] === tags.sequence) return [input as Bytes];
  return pemBlocksWithin(latin1(input), 'X509 CRL', limits.certificates);
}
