/** X.509 version 3 certificates, RFC 5280 section 4.1. */
import { latin1, type Bytes } from '../bytes/bytes.ts';
import { DerReader, explicit, tags, wholeSequence } from '../der/der.ts';
import { integerHex, nextTime, oid, smallInteger, wholeBytes } from '../der/values.ts';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';
import {
  publicKey,
  rawEcdsa,
  signatureAlgorithm,
  type PublicKey,
  type SignatureAlgorithm,
} from './algorithms.ts';
import {
  basicConstraints,
  extendedKeyUsage,
  keyUsage,
  readExtensions,
  type BasicConstraints,
  type Extensions,
} from './extensions.ts';

export interface Certificate {
  readonly raw: Bytes;
  /** The part that is signed. */
  readonly tbs: Bytes;
  /** Lowercase hexadecimal without leading zero bytes. */
  readonly serial: string;
  /** DER of the names: they are compared byte for byte. */
  readonly issuer: Bytes;
  readonly subject: Bytes;
  /** The subject's common name; several are joined by commas, and then equal no name that is looked for. */
  readonly commonName: string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly key: PublicKey;
  readonly extensions: Extensions;
  readonly constraints: BasicConstraints;
  readonly usage: ReadonlySet<number> | undefined;
  readonly purposes: readonly string[];
  readonly algorithm: SignatureAlgorithm;
  readonly signature: Bytes;
}

/** What was parsed last, by its bytes: the same authorities and signers come again and again, and so do their imported keys. */
const parsed = new Map<string, Certificate>();

/** Throws `Malformed`. */
export function parseCertificate(raw: Bytes): Certificate {
  demand(raw.length <= limits.derBytes, `certificate: larger than ${limits.derBytes} bytes`);
  const key = latin1(raw);
  const known = parsed.get(key);
  if (known !== undefined) return known;
  // A copy, so that no larger input is kept with it, and nobody changes it. A Buffer's slice would be none.
  const certificate = parse(new Uint8Array(raw));
  parsed.set(key, certificate);
  const [oldest] = parsed.keys();
  if (parsed.size > limits.rememberedCertificates && oldest !== undefined) parsed.delete(oldest);
  return certificate;
}

function parse(raw: Bytes): Certificate {
  const what = 'certificate';
  const outer = wholeSequence(raw, what);
  const tbsElement = outer.expect(tags.sequence, what);
  const algorithmElement = outer.expect(tags.sequence, what);
  const signature = wholeBytes(outer.next(what), `${what} signature`);
  outer.end(what);

  const tbs = new DerReader(tbsElement.value);
  const version = wholeVersion(tbs.expect(explicit(0), `${what} version`).value);
  demand(version === 2, `${what}: not of version 3`);
  const serial = integerHex(tbs.next('serial number'), 'serial number', limits.serialBytes);
  const inner = tbs.expect(tags.sequence, `${what} algorithm`);
  const algorithm = signatureAlgorithm(algorithmElement.raw, what);
  // Section 4.1.1.2: the same, inside and outside of what is signed.
  demand(signatureAlgorithm(inner.raw, what) === algorithm, `${what}: two different signature algorithms`);
  if (algorithm !== 'rsa-pss-sha384') rawEcdsa(signature, algorithm === 'ecdsa-sha256' ? 32 : 48);
  const issuer = tbs.expect(tags.sequence, 'issuer').raw;
  const validity = tbs.sequence('validity');
  const notBeforeMs = nextTime(validity, 'not before');
  const notAfterMs = nextTime(validity, 'not after');
  validity.end('validity');
  const subject = tbs.expect(tags.sequence, 'subject').raw;
  const key = publicKey(tbs.expect(tags.sequence, 'public key').raw, 'public key');
  // Unique identifiers ([1] and [2]) are not known here, hence refused.
  const extensions = readExtensions(tbs.expect(explicit(3), 'extensions').value, 'extension');
  tbs.end(what);
  return {
    raw,
    tbs: tbsElement.raw,
    serial,
    issuer,
    subject,
    commonName: commonNames(subject).join(', '),
    notBeforeMs,
    notAfterMs,
    key,
    extensions,
    constraints: basicConstraints(extensions),
    usage: keyUsage(extensions),
    purposes: extendedKeyUsage(extensions),
    algorithm,
    signature,
  };
}

function wholeVersion(value: Bytes): number {
  const reader = new DerReader(value);
  const version = smallInteger(reader.next('version'), 'version');
  reader.end('version');
  return version;
}

const COMMON_NAME = '2.5.4.3';

/** The common names in a Name (section 4.1.2.4), in order. */
function commonNames(name: Bytes): string[] {
  const what = 'name';
  const found: string[] = [];
  for (const sets = wholeSequence(name, what); !sets.done;) {
    const attributes = new DerReader(sets.expect(tags.set, what).value);
    while (!attributes.done) {
      const attribute = attributes.sequence(what);
      const id = oid(attribute.next(what), what);
      const value = attribute.next(what);
      if (id === COMMON_NAME) found.push(new TextDecoder().decode(value.value));
    }
  }
  return found;
}
