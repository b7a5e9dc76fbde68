/**
 * The signature algorithms and keys that Intel, AMD and NVIDIA use, and no others. Everything is recognised by its exact
 * DER bytes, so that an unknown parameter can't be overlooked.
 */
import { bytesOfHex, hexOf } from '@tussah/protocol/bytes';
import { concatBytes, type Bytes } from '../bytes/bytes.ts';
import { tags, wholeSequence } from '../der/der.ts';
import { integerPadded, wholeBytes } from '../der/values.ts';
import { demand } from '../malformed.ts';

export type SignatureAlgorithm = 'ecdsa-sha256' | 'ecdsa-sha384' | 'rsa-pss-sha384';

/** AlgorithmIdentifiers: RFC 5758 section 3.2; RFC 4055 section 3.1 with SHA-384, MGF1 and a salt of 48. */
const algorithms: Readonly<Record<string, SignatureAlgorithm>> = {
  '300a06082a8648ce3d040302': 'ecdsa-sha256',
  '300a06082a8648ce3d040303': 'ecdsa-sha384',
  // The second one writes the default trailer field out, as AMD's older certificates do.
  '304106092a864886f70d01010a3034a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130':
    'rsa-pss-sha384',
  '304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130a303020101':
    'rsa-pss-sha384',
};

export function signatureAlgorithm(identifier: Uint8Array, what: string): SignatureAlgorithm {
  const known = algorithms[hexOf(identifier)];
  demand(known !== undefined, `${what}: unknown signature algorithm`);
  return known;
}

export type KeyKind = 'p256' | 'p384' | 'rsa';

export interface PublicKey {
  readonly kind: KeyKind;
  /** SubjectPublicKeyInfo as WebCrypto imports it. */
  readonly spki: Bytes;
  /** The key alone: an uncompressed point, or an RSAPublicKey. */
  readonly point: Bytes;
}

const keyAlgorithms: Readonly<Record<string, KeyKind>> = {
  '301306072a8648ce3d020106082a8648ce3d030107': 'p256',
  '301006072a8648ce3d020106052b81040022': 'p384',
  '300d06092a864886f70d0101010500': 'rsa',
};
const rsaEncryption = bytesOfHex('300d06092a864886f70d0101010500') ?? new Uint8Array();
/** RFC 4055 section 1.2: a key meant for PSS only. WebCrypto knows no such key, so it gets the plain identifier. */
const rsaPssOnly = '300b06092a864886f70d01010a';

/** SubjectPublicKeyInfo, RFC 5280 section 4.1.2.7, RFC 5480. */
export function publicKey(spki: Bytes, what: string): PublicKey {
  const reader = wholeSequence(spki, what);
  const algorithm = hexOf(reader.expect(tags.sequence, what).raw);
  const point = wholeBytes(reader.next(what), what);
  reader.end(what);
  const isPss = algorithm === rsaPssOnly || algorithms[algorithm] === 'rsa-pss-sha384';
  const kind = isPss ? 'rsa' : keyAlgorithms[algorithm];
  demand(kind !== undefined, `${what}: unknown kind of key`);
  if (kind === 'rsa') {
    checkRsa(point, what);
    return { kind, spki: isPss ? plainRsa(point) : spki, point };
  }
  const size = kind === 'p256' ? 65 : 97;
  demand(point.length === size && point[0] === 4, `${what}: not an uncompressed point`);
  return { kind, spki, point };
}

/** RFC 8017, appendix A.1.1. Exponents above 32 bits are something that engines differ about. */
function checkRsa(point: Bytes, what: string): void {
  const key = wholeSequence(point, what);
  const modulus = integerPadded(key.next(what), what, 512);
  const firstBit = modulus.findIndex((byte) => byte !== 0);
  demand(firstBit >= 0 && modulus.length - firstBit >= 256, `${what}: an RSA key under 2048 bits`);
  integerPadded(key.next(what), what, 4);
  key.end(what);
}

function plainRsa(point: Bytes): Bytes {
  const bits = concatBytes(derHeader(tags.bitString, point.length + 1), Uint8Array.of(0), point);
  return concatBytes(derHeader(tags.sequence, rsaEncryption.length + bits.length), rsaEncryption, bits);
}

const derHeader = (tag: number, length: number): Bytes =>
  Uint8Array.of(tag, 0x82, length >> 8, length & 0xff);

const parameters = {
  'ecdsa-sha256': { name: 'ECDSA', hash: 'SHA-256' },
  'ecdsa-sha384': { name: 'ECDSA', hash: 'SHA-384' },
  'rsa-pss-sha384': { name: 'RSA-PSS', saltLength: 48 },
} as const;

const imports = {
  p256: { name: 'ECDSA', namedCurve: 'P-256' },
  p384: { name: 'ECDSA', namedCurve: 'P-384' },
  rsa: { name: 'RSA-PSS', hash: 'SHA-384' },
} as const;

/** Which kinds of key may sign with which algorithm. */
const signs: Readonly<Record<SignatureAlgorithm, readonly KeyKind[]>> = {
  'ecdsa-sha256': ['p256'],
  'ecdsa-sha384': ['p384'],
  'rsa-pss-sha384': ['rsa'],
};

const keys = new WeakMap<PublicKey, Promise<CryptoKey | null>>();

/** Null for a key that WebCrypto refuses, such as a point beside the curve. */
function imported(key: PublicKey): Promise<CryptoKey | null> {
  const known = keys.get(key);
  if (known !== undefined) return known;
  const importing = crypto.subtle
    .importKey('spki', key.spki, imports[key.kind], false, ['verify'])
    .catch(() => {
      keys.delete(key);
      return null;
    });
  keys.set(key, importing);
  return importing;
}

/** Whether `signature` is `key`'s over `data`. ECDSA signatures are r and s, each as long as the curve's order. */
export async function verifyRaw(
  key: PublicKey,
  algorithm: SignatureAlgorithm,
  signature: Bytes,
  data: Bytes,
): Promise<boolean> {
  if (!signs[algorithm].includes(key.kind)) return false;
  const cryptoKey = await imported(key);
  if (cryptoKey === null) return false;
  return crypto.subtle.verify(parameters[algorithm], cryptoKey, signature, data);
}

/** As `verifyRaw`, for signatures as X.509 writes them: ECDSA's as a DER sequence (RFC 3279 section 2.2.3). */
export async function verifyX509(
  key: PublicKey,
  algorithm: SignatureAlgorithm,
  signature: Bytes,
  data: Bytes,
): Promise<boolean> {
  if (algorithm === 'rsa-pss-sha384') return verifyRaw(key, algorithm, signature, data);
  return verifyRaw(key, algorithm, rawEcdsa(signature, algorithm === 'ecdsa-sha256' ? 32 : 48), data);
}

/** Throws `Malformed`: parsers call it too, so that a certificate's signature has its form before it is verified. */
export function rawEcdsa(der: Bytes, size: number): Bytes {
  const what = 'ECDSA signature';
  const reader = wholeSequence(der, what);
  const r = integerPadded(reader.next(what), what, size);
  const s = integerPadded(reader.next(what), what, size);
  reader.end(what);
  return concatBytes(r, s);
}

/** The public key of an uncompressed P-256 point without its leading 4, as Intel writes attestation keys. */
export const p256Point = (xy: Bytes): PublicKey => {
  const point = concatBytes(Uint8Array.of(4), xy);
  const algorithm = bytesOfHex('301306072a8648ce3d020106082a8648ce3d030107') ?? new Uint8Array();
  const bits = concatBytes(Uint8Array.of(tags.bitString, 66, 0), point);
  const spki = concatBytes(Uint8Array.of(tags.sequence, algorithm.length + bits.length), algorithm, bits);
  return { kind: 'p256', spki, point };
};
