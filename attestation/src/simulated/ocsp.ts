/** Simulated OCSP responses (RFC 6960), by a responder whom the issuer has authorised. */
import type { Bytes } from '../bytes/bytes.ts';
import { tags } from '../der/der.ts';
import {
  DAY_MS,
  makeCertificate,
  nameDer,
  type CertificateChange,
  type CertificateSpec,
} from './certificates.ts';
import {
  bitString,
  derNull,
  element,
  explicitly,
  generalizedTime,
  integer,
  octetString,
  oidOf,
  sequence,
} from './der-writer.ts';
import { pointOf, signatureIds, signDer, type SimulatedKey } from './keys.ts';

export interface OcspChange {
  readonly status?: 'good' | 'revoked' | 'unknown';
  readonly thisUpdateMs?: number;
  /** Null leaves it out. */
  readonly nextUpdateMs?: number | null;
  readonly responder?: CertificateChange;
  /** Leaves the responder out: the issuer signs itself. */
  readonly byIssuer?: boolean;
  /** Names the responder by its key instead of its name. */
  readonly byKeyHash?: boolean;
  readonly responderName?: string;
  readonly key?: SimulatedKey;
  readonly responseStatus?: number;
}

export interface OcspSubject {
  readonly subject: CertificateSpec;
  readonly issuer: CertificateSpec;
  readonly responderKey: SimulatedKey;
  readonly nowMs: number;
}

const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';
const RESPONDER = 'NVIDIA OCSP Responder';
const sha1 = '1.3.14.3.2.26';

export async function makeOcsp(subject: OcspSubject, change: OcspChange = {}): Promise<Bytes> {
  const { issuer, responderKey, nowMs } = subject;
  const byIssuer = change.byIssuer === true;
  const signer = byIssuer ? issuer.key : responderKey;
  const responder = await makeCertificate({
    commonName: RESPONDER,
    issuerName: issuer.commonName,
    key: responderKey,
    issuerKey: issuer.key,
    serial: 0x8001,
    notBeforeMs: nowMs - DAY_MS,
    notAfterMs: nowMs + DAY_MS,
    usage: [0],
    extensions: [{ id: '2.5.29.37', value: sequence(oidOf(OCSP_SIGNING)) }],
    ...change.responder,
  });
  const name = change.responderName ?? (byIssuer ? issuer.commonName : RESPONDER);
  const id =
    change.byKeyHash === true
      ? explicitly(2, octetString(await hash(pointOf(signer))))
      : explicitly(1, nameDer(name));
  const tbs = sequence(id, generalizedTime(nowMs), sequence(await answer(subject, change)));
  const basic = sequence(
    tbs,
    signatureIds[signer.kind],
    bitString(await signDer(change.key ?? signer, tbs)),
    ...(byIssuer ? [] : [explicitly(0, sequence(responder))]),
  );
  return sequence(
    element(tags.enumerated, Uint8Array.of(change.responseStatus ?? 0)),
    explicitly(0, sequence(oidOf('1.3.6.1.5.5.7.48.1.1'), octetString(basic))),
  );
}

const hash = async (bytes: Bytes): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest('SHA-1', bytes));

async function answer({ subject, issuer, nowMs }: OcspSubject, change: OcspChange): Promise<Bytes> {
  const { status = 'good', thisUpdateMs = nowMs - 3_600_000, nextUpdateMs = nowMs + DAY_MS } = change;
  const statuses = {
    good: element(0x80),
    revoked: explicitly(1, generalizedTime(thisUpdateMs)),
    unknown: element(0x82),
  };
  return sequence(
    sequence(
      sequence(oidOf(sha1), derNull()),
      octetString(await hash(nameDer(issuer.commonName))),
      octetString(await hash(pointOf(issuer.key))),
      integer(subject.serial),
    ),
    statuses[status],
    generalizedTime(thisUpdateMs),
    ...(nextUpdateMs === null ? [] : [explicitly(0, generalizedTime(nextUpdateMs))]),
  );
}
