/** Certificates and keys: what breaks their rules is refused by name. */
import { describe, expect, it } from 'vitest';
import { concatBytes, utf8, type Bytes } from '../bytes/bytes.ts';
import { fromHex } from '../bytes/text-encodings.ts';
import { tags } from '../der/der.ts';
import { limits } from '../limits.ts';
import {
  extensionsDer,
  makeCertificate,
  nameDer,
  pem,
  type CertificateSpec,
} from '../simulated/certificates.ts';
import * as der from '../simulated/der-writer.ts';
import { newKey, signatureIds } from '../simulated/keys.ts';
import { NOW } from '../testing/world.ts';
import { publicKey, signatureAlgorithm } from '../x509/algorithms.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { basicConstraints, readExtensions } from '../x509/extensions.ts';
import { derOfText, readCertificates } from '../x509/read-certificates.ts';

const bytes = (...all: number[]): Bytes => Uint8Array.from(all);
const none = new Uint8Array();

const [key, rsa] = await Promise.all([newKey('p256'), newKey('rsa')]);
const spec: CertificateSpec = {
  commonName: 'a',
  issuerName: 'b',
  key,
  issuerKey: key,
  serial: 5,
  notBeforeMs: NOW,
  notAfterMs: NOW + 1,
};
/** A certificate out of its parts, with any of them changed. */
function certificate(
  change: {
    version?: number;
    inner?: Bytes;
    outer?: Bytes;
    spki?: Bytes;
    signature?: Bytes;
    extensions?: Bytes;
    more?: Bytes;
    serial?: Bytes;
    subject?: Bytes;
  } = {},
): Bytes {
  const id = signatureIds.p256;
  const tbs = der.sequence(
    der.explicitly(0, der.integer(change.version ?? 2)),
    change.serial ?? der.integer(5),
    change.inner ?? id,
    nameDer('b'),
    der.sequence(der.timeOf(NOW), der.timeOf(NOW)),
    change.subject ?? nameDer('a'),
    change.spki ?? key.spki,
    der.explicitly(3, change.extensions ?? extensionsDer([])),
    change.more ?? none,
  );
  const signature = change.signature ?? der.sequence(der.integer(1), der.integer(1));
  return der.sequence(tbs, change.outer ?? id, der.bitString(signature));
}
const extension = (id: string, ...value: Uint8Array[]) => der.sequence(der.oidOf(id), ...value);

describe('what certificates come in', () => {
  it('take one block where one is wanted', () => {
    expect([...derOfText(pem('X', bytes(1)), 'X')]).toEqual([1]);
    expect(() => derOfText(pem('X', bytes(1)).repeat(2), 'X')).toThrow('exactly one');
    expect(() => derOfText(pem('Y', bytes(1)), 'X')).toThrow('something else');
  });
  it('refuse files without certificates, or with too many', async () => {
    const one = await makeCertificate(spec);
    expect(() => readCertificates('')).toThrow('no certificate');
    expect(() => readCertificates(utf8(' '))).toThrow('no certificate');
    expect(readCertificates(concatBytes(one, one))).toHaveLength(2);
    expect(() => readCertificates(concatBytes(...Array.from({ length: 9 }, () => one)))).toThrow(
      'more than 8',
    );
  });
});

describe('certificates', () => {
  it('are read', () => {
    expect(parseCertificate(certificate())).toMatchObject({
      serial: '05',
      commonName: 'a',
      notBeforeMs: NOW,
      algorithm: 'ecdsa-sha256',
    });
  });
  it.each([
    ['of another version', { version: 1 }, 'not of version 3'],
    ['with two algorithms', { inner: signatureIds.p384 }, 'two different'],
    ['with an unknown algorithm', { outer: der.sequence(der.oidOf('1.2.3')) }, 'unknown signature algorithm'],
    ['with a serial number too long', { serial: der.integer(new Uint8Array(21).fill(1)) }, 'too large'],
    ['with more members', { more: der.explicitly(4, der.derNull()) }, 'unknown members'],
    [
      'with a signature too long',
      { signature: der.sequence(der.integer(new Uint8Array(33).fill(1)), der.integer(1)) },
      'too large',
    ],
    [
      'with more in its signature',
      { signature: der.sequence(der.integer(1), der.integer(1), der.integer(1)) },
      'unknown members',
    ],
    [
      'with an unknown key',
      { spki: der.sequence(der.sequence(der.oidOf('1.2.3')), der.bitString(bytes(4))) },
      'unknown kind of key',
    ],
    [
      'with an extension twice',
      {
        extensions: der.sequence(
          extension('1.2.3', der.octetString(none)),
          extension('1.2.3', der.octetString(none)),
        ),
      },
      'twice',
    ],
    [
      'with FALSE written out',
      { extensions: der.sequence(extension('1.2.3', bytes(1, 1, 0), der.octetString(none))) },
      'FALSE written out',
    ],
    [
      'with too many extensions',
      { extensions: extensionsDer(Array.from({ length: 33 }, (_, i) => ({ id: `1.2.${i}`, value: none }))) },
      'more than 32',
    ],
    [
      'with a path length but no authority',
      { extensions: extensionsDer([{ id: '2.5.29.19', value: der.sequence(der.integer(1)) }]) },
      'a path length without CA',
    ],
  ])('%s are refused', (_, change, problem) => {
    expect(() => parseCertificate(certificate(change))).toThrow(problem);
  });
  it('too large are refused', () => {
    expect(() => parseCertificate(new Uint8Array(limits.derBytes + 1))).toThrow('larger than');
  });
  it('may write out that they are no authority, as Intel does', () => {
    const extensions = readExtensions(
      extensionsDer([{ id: '2.5.29.19', value: der.sequence(bytes(1, 1, 0)) }]),
      'x',
    );
    expect(basicConstraints(extensions)).toEqual({ ca: false, pathLength: undefined });
  });
  it('with several common names have none of them', () => {
    const common = (value: string) =>
      der.set(der.sequence(der.oidOf('2.5.4.3'), der.text(tags.utf8String, value)));
    const subject = der.sequence(common('SEV-VCEK'), common('x'));
    expect(parseCertificate(certificate({ subject })).commonName).toBe('SEV-VCEK, x');
  });
});

describe('keys and algorithms', () => {
  const ec = (point: Bytes) =>
    der.sequence(
      der.sequence(der.oidOf('1.2.840.10045.2.1'), der.oidOf('1.2.840.10045.3.1.7')),
      der.bitString(point),
    );
  const rsaSpki = (algorithm: Bytes, modulusBytes: number) =>
    der.sequence(
      algorithm,
      der.bitString(der.sequence(der.integer(new Uint8Array(modulusBytes).fill(0x81)), der.integer(65_537))),
    );
  const plain = der.sequence(der.oidOf('1.2.840.113549.1.1.1'), der.derNull());
  const pss = der.sequence(der.oidOf('1.2.840.113549.1.1.10'));

  it('refuse points that are compressed or of another size', () => {
    expect(() => publicKey(ec(new Uint8Array(65).fill(4)), 'x')).not.toThrow();
    expect(() => publicKey(ec(new Uint8Array(65).fill(2)), 'x')).toThrow('uncompressed');
    expect(() => publicKey(ec(new Uint8Array(64).fill(4)), 'x')).toThrow('uncompressed');
  });
  it('refuse RSA keys that are too small', () => {
    expect(() => publicKey(rsaSpki(plain, 255), 'x')).toThrow('under 2048');
    expect(publicKey(rsaSpki(plain, 256), 'x').kind).toBe('rsa');
    expect(() =>
      publicKey(der.sequence(plain, der.bitString(der.sequence(der.integer(0), der.integer(3)))), 'x'),
    ).toThrow('under 2048');
  });
  it('give keys that are meant for PSS the identifier that WebCrypto knows', async () => {
    const { point } = publicKey(rsa.spki, 'x');
    const rebuilt = publicKey(der.sequence(pss, der.bitString(point)), 'x');
    expect([...rebuilt.spki]).toEqual([...rsa.spki]);
    const withParameters = publicKey(der.sequence(signatureIds.rsa, der.bitString(point)), 'x');
    expect([...withParameters.spki]).toEqual([...rsa.spki]);
  });
  it('know the trailer field that AMD writes out, and no other parameters', () => {
    const long = fromHex(
      '304606092a864886f70d01010a3039a00f300d06096086480165030402020500a11c301a06092a864886f70d010108300d06096086480165030402020500a203020130a303020101',
      'x',
    );
    expect(signatureAlgorithm(long, 'x')).toBe('rsa-pss-sha384');
    expect(() => signatureAlgorithm(long.with(long.length - 1, 2), 'x')).toThrow(
      'unknown signature algorithm',
    );
  });
});
