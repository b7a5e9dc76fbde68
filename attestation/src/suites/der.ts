/** DER, certificates, CRLs and OCSP responses: what breaks their rules is refused by name. */
import { describe, expect, it } from 'vitest';
import { concatBytes, equalUnderMask, utf8, type Bytes } from '../bytes/bytes.ts';
import { fromBase64, fromBase64Url, fromHex, pemBlocks } from '../bytes/text-encodings.ts';
import { DerReader, tags, wholeSequence } from '../der/der.ts';
import * as values from '../der/values.ts';
import { limits } from '../limits.ts';
import {
  crlNumber,
  extensionsDer,
  makeCertificate,
  makeCrl,
  nameDer,
  pem,
  type CertificateSpec,
} from '../simulated/certificates.ts';
import * as der from '../simulated/der-writer.ts';
import { newKey, signatureIds } from '../simulated/keys.ts';
import { makeOcsp } from '../simulated/ocsp.ts';
import { NOW } from '../testing/world.ts';
import { publicKey, signatureAlgorithm } from '../x509/algorithms.ts';
import { parseCertificate } from '../x509/certificate.ts';
import { parseCrl } from '../x509/crl.ts';
import { basicConstraints, readExtensions } from '../x509/extensions.ts';
import { parseOcspResponse } from '../x509/ocsp.ts';
import { derOfText, readCertificates } from '../x509/read-certificates.ts';

const bytes = (...all: number[]): Bytes => Uint8Array.from(all);
const only = (input: Uint8Array) => new DerReader(input).next('x');
const none = new Uint8Array();

describe('DER', () => {
  it.each([
    ['nothing', bytes(), 'missing'],
    ['a tag of several bytes', bytes(0x1f, 0x81, 0), 'tag in several bytes'],
    ['no length', bytes(4), 'no length'],
    ['an indefinite length', bytes(0x30, 0x80, 0, 0), 'length in 0 bytes'],
    ['a length of four bytes', bytes(4, 0x84, 0, 0, 0, 1, 7), 'length in 4 bytes'],
    ['half a length', bytes(4, 0x82, 1), 'length cut off'],
    ['a long form for a short length', bytes(4, 0x81, 1, 7), 'shortest form'],
    [
      'a leading zero in a length',
      concatBytes(bytes(4, 0x82, 0, 0x90), new Uint8Array(0x90)),
      'shortest form',
    ],
    ['more than there is', bytes(4, 2, 7), 'longer than what holds it'],
  ])('refuses %s', (_, input, problem) => {
    expect(() => only(input)).toThrow(problem);
  });

  it('reads what follows the rules', () => {
    expect([...only(bytes(4, 2, 7, 8)).value]).toEqual([7, 8]);
    expect(only(concatBytes(bytes(4, 0x81, 0x80), new Uint8Array(0x80))).value.length).toBe(0x80);
    expect(only(concatBytes(bytes(4, 0x83, 1, 0, 0), new Uint8Array(65_536))).value.length).toBe(65_536);
  });

  it('refuses other tags, and what is left over', () => {
    expect(() => new DerReader(bytes(4, 0)).expect(tags.null, 'x')).toThrow('tag 0x04 instead of 0x05');
    expect(() => wholeSequence(bytes(0x30, 0, 0), 'x')).toThrow('unknown members');
  });
});

describe('values of DER', () => {
  const integers: [string, Bytes, string][] = [
    ['another type', bytes(4, 1, 1), 'not an INTEGER'],
    ['none', bytes(2, 0), 'not an INTEGER'],
    ['a leading zero', bytes(2, 2, 0, 1), 'shortest form'],
    ['leading ones', bytes(2, 2, 0xff, 0x80), 'shortest form'],
    ['a negative one', bytes(2, 1, 0x80), 'negative'],
    ['one above 48 bits', concatBytes(bytes(2, 7, 1), new Uint8Array(6)), 'too large'],
  ];
  it.each(integers)('refuse an integer: %s', (_, input, problem) => {
    expect(() => values.smallInteger(only(input), 'x')).toThrow(problem);
  });
  it('read integers', () => {
    expect(values.smallInteger(only(bytes(2, 2, 0, 0x80)), 'x')).toBe(128);
    expect(values.smallInteger(only(bytes(2, 1, 0)), 'x')).toBe(0);
    expect(values.integerHex(only(bytes(2, 2, 0, 0x80)), 'x', 1)).toBe('80');
    expect(values.integerHex(only(bytes(2, 1, 0)), 'x', 1)).toBe('00');
    expect(() => values.integerHex(only(bytes(2, 2, 1, 0)), 'x', 1)).toThrow('too large');
    expect([...values.integerPadded(only(bytes(2, 2, 0, 0x80)), 'x', 3)]).toEqual([0, 0, 0x80]);
    expect(() => values.integerPadded(only(bytes(2, 2, 1, 0)), 'x', 1)).toThrow('too large');
  });

  it.each([
    ['another type', bytes(2, 1, 0), 'not a BOOLEAN'],
    ['two bytes', bytes(1, 2, 0, 0), 'not a BOOLEAN'],
    ['BER for TRUE', bytes(1, 1, 1), 'neither'],
  ])('refuse a boolean: %s', (_, input, problem) => {
    expect(() => values.boolean(only(input), 'x')).toThrow(problem);
  });
  it('read booleans', () => {
    expect([bytes(1, 1, 0), bytes(1, 1, 0xff)].map((input) => values.boolean(only(input), 'x'))).toEqual([
      false,
      true,
    ]);
  });

  it.each([
    ['another type', bytes(4, 2, 0, 1), 'not a BIT STRING of whole bytes'],
    ['unused bits', bytes(3, 2, 1, 2), 'not a BIT STRING of whole bytes'],
    ['none', bytes(3, 0), 'not a BIT STRING of whole bytes'],
  ])('refuse whole bytes: %s', (_, input, problem) => {
    expect(() => values.wholeBytes(only(input), 'x')).toThrow(problem);
  });

  it.each([
    ['another type', bytes(4, 2, 0, 1), 'not a BIT STRING'],
    ['eight unused bits', bytes(3, 2, 8, 0), 'not a BIT STRING'],
    ['padding that is set', bytes(3, 2, 1, 1), 'padding'],
    ['padding of nothing', bytes(3, 1, 1), 'padding'],
  ])('refuse named bits: %s', (_, input, problem) => {
    expect(() => values.namedBits(only(input), 'x')).toThrow(problem);
  });
  it('read named bits, trailing zeros included', () => {
    expect([...values.namedBits(only(bytes(3, 2, 1, 6)), 'x')]).toEqual([5, 6]);
    expect([...values.namedBits(only(bytes(3, 1, 0)), 'x')]).toEqual([]);
  });

  it.each([
    ['another type', bytes(4, 1, 1), 'not an OBJECT'],
    ['nothing', bytes(6, 0), 'not an OBJECT'],
    ['33 bytes', concatBytes(bytes(6, 33), new Uint8Array(33).fill(1)), 'not an OBJECT'],
    ['a padded arc', bytes(6, 3, 0x2a, 0x80, 1), 'shortest form'],
    ['an arc cut off', bytes(6, 2, 0x2a, 0x81), 'cut off'],
    [
      'an arc too large',
      bytes(6, 10, 0x2a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f),
      'too large',
    ],
  ])('refuse an object identifier: %s', (_, input, problem) => {
    expect(() => values.oid(only(input), 'x')).toThrow(problem);
  });
  it('read object identifiers and octets', () => {
    for (const id of ['1.2.840.113741.1.13.1', '2.5.29.15', '2.999.3', '1.2.16384'])
      expect(values.oid(only(der.oidOf(id)), 'x')).toBe(id);
    expect(() => values.octets(only(bytes(3, 1, 0)), 'x')).toThrow('not an OCTET STRING');
  });

  it.each([
    ['another type', der.text(tags.ia5String, '260101000000Z'), 'not a time'],
    ['no seconds', der.text(tags.utcTime, '2601010000Z'), 'not a time'],
    ['a zone', der.text(tags.utcTime, '260101000000+0100'), 'not a time'],
    ['fractions', der.text(tags.generalizedTime, '20260101000000.5Z'), 'not a time'],
    ['the 13th month', der.text(tags.utcTime, '261301000000Z'), 'no such date'],
    ['the 30th of February', der.text(tags.utcTime, '260230000000Z'), 'no such date'],
    ['a second too many', der.text(tags.utcTime, '260101000060Z'), 'no such date'],
    ['the year 99', der.text(tags.generalizedTime, '00990101000000Z'), 'no such date'],
  ])('refuse a time: %s', (_, input, problem) => {
    expect(() => values.time(only(input), 'x')).toThrow(problem);
  });
  it('read times of both centuries', () => {
    expect(values.time(only(der.text(tags.utcTime, '491231235959Z')), 'x')).toBe(
      Date.UTC(2049, 11, 31, 23, 59, 59),
    );
    expect(values.time(only(der.text(tags.utcTime, '500101000000Z')), 'x')).toBe(Date.UTC(1950, 0, 1));
    expect(values.time(only(der.generalizedTime(NOW)), 'x')).toBe(NOW);
  });
});

describe('text encodings', () => {
  it.each(['AAA', 'AA=A', '*AAA', 'AAAA=', 'A==='])('refuse base64 %s', (input) => {
    expect(() => fromBase64(input, 'x')).toThrow('not base64');
  });
  it.each(['A', 'AA+A', 'AA=='])('refuse base64url %s', (input) => {
    expect(() => fromBase64Url(input, 'x')).toThrow('not base64url');
  });
  it.each(['0', 'zz'])('refuse hexadecimal %s', (input) => {
    expect(() => fromHex(input, 'x')).toThrow('not hexadecimal');
  });
  it('read what is right', () => {
    expect([...fromBase64('AQ\n I=', 'x')]).toEqual([1, 2]);
    expect([...fromBase64Url('-_8', 'x')]).toEqual([0xfb, 0xff]);
  });
  it('refuse PEM without end, and too many blocks', () => {
    expect(() => pemBlocks('-----BEGIN X-----\nAAAA', 'X', 8)).toThrow('without end');
    expect(() => pemBlocks(pem('X', bytes(1)).repeat(3), 'X', 2)).toThrow('more than 2');
    expect(pemBlocks(`text ${pem('X', bytes(1))} text ${pem('Y', bytes(2))}`, 'X', 8)).toHaveLength(1);
  });
  it('take one block where one is wanted', () => {
    expect([...derOfText(pem('X', bytes(1)), 'X')]).toEqual([1]);
    expect(() => derOfText(pem('X', bytes(1)).repeat(2), 'X')).toThrow('exactly one');
    expect(() => derOfText(pem('Y', bytes(1)), 'X')).toThrow('exactly one');
  });
  it('refuse files without certificates, or with too many', async () => {
    const one = await makeCertificate(spec);
    expect(() => readCertificates('')).toThrow('no certificate');
    expect(() => readCertificates(utf8('x'))).toThrow('no certificate');
    expect(readCertificates(concatBytes(one, one))).toHaveLength(2);
    expect(() => readCertificates(concatBytes(...Array.from({ length: 9 }, () => one)))).toThrow(
      'more than 8',
    );
  });
  it('compare under a mask only what is of one length', () => {
    expect(equalUnderMask(bytes(1, 2), bytes(1, 3), bytes(0xff, 0xfe))).toBe(true);
    expect(equalUnderMask(bytes(1), bytes(1, 0), bytes(0xff))).toBe(false);
    expect(equalUnderMask(bytes(1), bytes(1), bytes(0xff, 0))).toBe(false);
  });
});

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

describe('revocation lists', () => {
  const make = (
    change: { version?: number; inner?: Bytes; entries?: Bytes; extensions?: Bytes } = {},
  ): Bytes => {
    const tbs = der.sequence(
      der.integer(change.version ?? 1),
      change.inner ?? signatureIds.p256,
      nameDer('b'),
      der.timeOf(NOW),
      der.timeOf(NOW + 1000),
      change.entries ?? none,
      der.explicitly(0, change.extensions ?? extensionsDer([crlNumber])),
    );
    return der.sequence(tbs, signatureIds.p256, der.bitString(der.sequence(der.integer(1), der.integer(1))));
  };
  const entry = (serial: number, ...more: Uint8Array[]) =>
    der.sequence(der.integer(serial), der.timeOf(NOW), ...more);

  it('are read, with the reasons in their entries', async () => {
    const reason = extensionsDer([{ id: '2.5.29.21', value: bytes(10, 1, 6) }]);
    expect([...parseCrl(make({ entries: der.sequence(entry(0x80), entry(7, reason)) })).revoked]).toEqual([
      '80',
      '07',
    ]);
    expect(
      parseCrl(
        await makeCrl({
          issuerName: 'b',
          issuerKey: rsa,
          thisUpdateMs: NOW,
          nextUpdateMs: NOW,
          revoked: [],
          extensions: [crlNumber],
        }),
      ).algorithm,
    ).toBe('rsa-pss-sha384');
  });
  it.each([
    ['of another version', { version: 0 }, 'not of version 2'],
    ['with two algorithms', { inner: signatureIds.p384 }, 'two different'],
    [
      'with an unknown extension',
      { extensions: extensionsDer([{ id: '2.5.29.28', value: none }]) },
      'unknown extension',
    ],
    [
      'with too many entries',
      { entries: der.sequence(...Array.from({ length: 4097 }, (_, i) => entry(i + 1))) },
      'more than 4096',
    ],
    [
      'about another issuer',
      { entries: der.sequence(entry(1, extensionsDer([{ id: '2.5.29.29', value: none }]))) },
      'indirect',
    ],
  ])('%s are refused', (_, change, problem) => {
    expect(() => parseCrl(make(change))).toThrow(problem);
  });
  it('too large are refused', () => {
    expect(() => parseCrl(new Uint8Array(limits.derBytes + 1))).toThrow('larger than');
  });
});

describe('OCSP responses', () => {
  const subject = { subject: spec, issuer: spec, responderKey: key, nowMs: NOW };
  const basicId = '1.3.6.1.5.5.7.48.1.1';
  const make = (
    change: { status?: Bytes; type?: string; id?: Bytes; answers?: Bytes[]; certificates?: Bytes } = {},
  ): Bytes => {
    const tbs = der.sequence(
      change.id ?? der.explicitly(1, nameDer('r')),
      der.generalizedTime(NOW),
      der.sequence(...(change.answers ?? [answer()])),
    );
    const basic = der.sequence(
      tbs,
      signatureIds.p256,
      der.bitString(der.sequence(der.integer(1), der.integer(1))),
      change.certificates ?? none,
    );
    return der.sequence(
      der.element(tags.enumerated, change.status ?? bytes(0)),
      der.explicitly(0, der.sequence(der.oidOf(change.type ?? basicId), der.octetString(basic))),
    );
  };
  const answer = (hash = '2.16.840.1.101.3.4.2.1') =>
    der.sequence(
      der.sequence(
        der.sequence(der.oidOf(hash)),
        der.octetString(none),
        der.octetString(none),
        der.integer(5),
      ),
      der.element(0x80),
      der.generalizedTime(NOW),
      der.explicitly(0, der.generalizedTime(NOW)),
    );
  it('are read', async () => {
    expect(parseOcspResponse(make()).answers).toMatchObject([
      { serial: '05', status: 'good', hash: 'SHA-256' },
    ]);
    expect(parseOcspResponse(await makeOcsp(subject)).certificates).toHaveLength(1);
  });
  it.each([
    ['that are errors', { status: bytes(1) }, 'not successful'],
    ['with a longer status', { status: bytes(0, 0) }, 'not successful'],
    ['of another type', { type: '1.2.3' }, 'not a basic one'],
    ['with an unknown responder id', { id: der.explicitly(3, nameDer('r')) }, 'unknown responder id'],
    ['with an unknown hash', { answers: [answer('1.2.3')] }, 'unknown hash algorithm'],
    ['with too many answers', { answers: Array.from({ length: 9 }, () => answer()) }, 'too many answers'],
    [
      'with too many certificates',
      { certificates: der.explicitly(0, der.sequence(...Array.from({ length: 9 }, () => certificate()))) },
      'too many certificates',
    ],
  ])('%s are refused', (_, change, problem) => {
    expect(() => parseOcspResponse(make(change))).toThrow(problem);
  });
  it('too large are refused', () => {
    expect(() => parseOcspResponse(new Uint8Array(limits.derBytes + 1))).toThrow('larger than');
  });
});
