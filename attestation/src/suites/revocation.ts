/** CRLs and OCSP responses: what breaks their rules is refused by name. */
import { describe, expect, it } from 'vitest';
import type { Bytes } from '../bytes/bytes.ts';
import { tags } from '../der/der.ts';
import { limits } from '../limits.ts';
import {
  crlNumber,
  extensionsDer,
  makeCertificate,
  makeCrl,
  nameDer,
  type CertificateSpec,
} from '../simulated/certificates.ts';
import * as der from '../simulated/der-writer.ts';
import { newKey, signatureIds } from '../simulated/keys.ts';
import { makeOcsp } from '../simulated/ocsp.ts';
import { NOW } from '../testing/world.ts';
import { parseCrl } from '../x509/crl.ts';
import { parseOcspResponse } from '../x509/ocsp.ts';

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
const certificate = await makeCertificate(spec);

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
    change: {
      status?: Bytes;
      type?: string;
      id?: Bytes;
      answers?: Bytes[];
      certificates?: Bytes;
      extensions?: Bytes;
    } = {},
  ): Bytes => {
    const tbs = der.sequence(
      change.id ?? der.explicitly(1, nameDer('r')),
      der.generalizedTime(NOW),
      der.sequence(...(change.answers ?? [answer()])),
      change.extensions ?? none,
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
  const SHA256 = '2.16.840.1.101.3.4.2.1';
  const answer = (hash = SHA256, parameters = none, extensions = none) =>
    der.sequence(
      der.sequence(
        der.sequence(der.oidOf(hash), parameters),
        der.octetString(none),
        der.octetString(none),
        der.integer(5),
      ),
      der.element(0x80),
      der.generalizedTime(NOW),
      der.explicitly(0, der.generalizedTime(NOW)),
      extensions,
    );
  const extended = (id: string, critical: boolean) =>
    der.explicitly(1, extensionsDer([{ id, critical, value: none }]));
  const NONCE = '1.3.6.1.5.5.7.48.1.2';
  it('are read', async () => {
    expect(parseOcspResponse(make()).answer).toMatchObject({ serial: '05', status: 'good', hash: 'SHA-256' });
    expect(parseOcspResponse(await makeOcsp(subject)).certificates).toHaveLength(1);
    for (const change of [
      { extensions: extended(NONCE, true) },
      { extensions: extended('1.2.3', false) },
      { answers: [answer(SHA256, der.derNull(), extended('1.2.3', false))] },
    ])
      expect(parseOcspResponse(make(change)).answer.status).toBe('good');
  });
  it.each([
    ['that are errors', { status: bytes(1) }, 'not successful'],
    ['with a longer status', { status: bytes(0, 0) }, 'not successful'],
    ['of another type', { type: '1.2.3' }, 'not a basic one'],
    ['with an unknown responder id', { id: der.explicitly(3, nameDer('r')) }, 'unknown responder id'],
    ['with an unknown hash', { answers: [answer('1.2.3')] }, 'unknown hash algorithm'],
    ['with two answers', { answers: [answer(), answer()] }, 'more than one answer'],
    ['with parameters of a hash', { answers: [answer(SHA256, der.integer(1))] }, 'unknown members'],
    [
      'with an unknown critical extension',
      { extensions: extended('1.2.3', true) },
      'critical extension 1.2.3',
    ],
    [
      'with a critical extension in an answer',
      { answers: [answer(SHA256, none, extended(NONCE, true))] },
      'critical extension',
    ],
    ['without an answer', { answers: [] }, 'single response: missing'],
    [
      'with too many certificates',
      { certificates: der.explicitly(0, der.sequence(...Array.from({ length: 9 }, () => certificate))) },
      'too many certificates',
    ],
  ])('%s are refused', (_, change, problem) => {
    expect(() => parseOcspResponse(make(change))).toThrow(problem);
  });
  it('too large are refused', () => {
    expect(() => parseOcspResponse(new Uint8Array(limits.derBytes + 1))).toThrow('larger than');
  });
});
