/** OCSP responses, RFC 6960 section 4.2. */
import type { Bytes } from '../bytes/bytes.ts';
import { DerReader, explicit, implicit, tags, wholeSequence, type Element } from '../der/der.ts';
import { integerHex, nextTime, octets, oid, time, wholeBytes } from '../der/values.ts';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';
import { rawEcdsa, signatureAlgorithm, type SignatureAlgorithm } from './algorithms.ts';
import { parseCertificate, type Certificate } from './certificate.ts';
import { readExtensions } from './extensions.ts';

export type OcspHash = 'SHA-1' | 'SHA-256' | 'SHA-384';

export interface OcspAnswer {
  readonly hash: OcspHash;
  readonly issuerNameHash: Bytes;
  readonly issuerKeyHash: Bytes;
  readonly serial: string;
  readonly status: 'good' | 'revoked' | 'unknown';
  readonly thisUpdateMs: number;
  /** Undefined: there may be newer information at any time. */
  readonly nextUpdateMs: number | undefined;
}

export interface OcspResponse {
  readonly tbs: Bytes;
  /** The signer by its name (DER) or by the SHA-1 of its key. */
  readonly responder: { readonly name: Bytes } | { readonly keyHash: Bytes };
  readonly answer: OcspAnswer;
  readonly certificates: readonly Certificate[];
  readonly algorithm: SignatureAlgorithm;
  readonly signature: Bytes;
}

const BASIC = '1.3.6.1.5.5.7.48.1.1';
const hashes: Readonly<Record<string, OcspHash>> = {
  '1.3.14.3.2.26': 'SHA-1',
  '2.16.840.1.101.3.4.2.1': 'SHA-256',
  '2.16.840.1.101.3.4.2.2': 'SHA-384',
};

/** Of one answer, as requests about one certificate get. Throws `Malformed`, also for one that says that there was an error. */
export function parseOcspResponse(raw: Bytes): OcspResponse {
  const what = 'OCSP response';
  demand(raw.length <= limits.derBytes, `${what}: larger than ${limits.derBytes} bytes`);
  const outer = wholeSequence(raw, what);
  const status = outer.expect(tags.enumerated, `${what} status`).value;
  demand(status.length === 1 && status[0] === 0, `${what}: not successful`);
  const bytes = wholeSequence(outer.expect(explicit(0), what).value, what);
  outer.end(what);
  demand(oid(bytes.next(what), what) === BASIC, `${what}: not a basic one`);
  const basic = wholeSequence(octets(bytes.next(what), what), what);
  bytes.end(what);
  const tbs = basic.expect(tags.sequence, what);
  const algorithm = signatureAlgorithm(basic.expect(tags.sequence, what).raw, what);
  const signature = wholeBytes(basic.next(what), `${what} signature`);
  const certificates = basic.done ? [] : readCertificates(basic.expect(explicit(0), what).value);
  basic.end(what);
  if (algorithm !== 'rsa-pss-sha384') rawEcdsa(signature, algorithm === 'ecdsa-sha256' ? 32 : 48);
  return { tbs: tbs.raw, ...readData(new DerReader(tbs.value)), certificates, algorithm, signature };
}

function readCertificates(der: Bytes): Certificate[] {
  const found: Certificate[] = [];
  for (const list = wholeSequence(der, 'responder certificates'); !list.done;) {
    demand(found.length < limits.certificates, 'OCSP response: too many certificates');
    found.push(parseCertificate(list.expect(tags.sequence, 'responder certificate').raw));
  }
  return found;
}

/** ResponseData. A version other than the default is unknown. */
function readData(data: DerReader): Pick<OcspResponse, 'responder' | 'answer'> {
  const id = data.next('responder id');
  demand(id.tag === explicit(1) || id.tag === explicit(2), 'OCSP response: an unknown responder id');
  const inner = new DerReader(id.value);
  const responder =
    id.tag === explicit(1)
      ? { name: inner.expect(tags.sequence, 'responder name').raw }
      : { keyHash: octets(inner.next('responder key hash'), 'responder key hash') };
  inner.end('responder id');
  time(data.expect(tags.generalizedTime, 'produced at'), 'produced at');
  const answers = data.sequence('responses');
  const answer = readAnswer(answers.sequence('single response'));
  demand(answers.done, 'OCSP response: more than one answer');
  refuseCritical(data.optional(explicit(1), 'response extensions'), [NONCE]);
  data.end('OCSP response');
  return { responder, answer };
}

function readAnswer(answer: DerReader): OcspAnswer {
  const id = answer.sequence('certificate id');
  const algorithm = hashAlgorithm(id.sequence('hash algorithm'));
  const hash = hashes[algorithm];
  demand(hash !== undefined, `OCSP response: unknown hash algorithm ${algorithm}`);
  const issuerNameHash = octets(id.next('issuer name hash'), 'issuer name hash');
  const issuerKeyHash = octets(id.next('issuer key hash'), 'issuer key hash');
  const serial = integerHex(id.next('serial number'), 'serial number', limits.serialBytes);
  id.end('certificate id');
  const status = statusOf(answer.next('certificate status').tag);
  const thisUpdateMs = nextTime(answer, 'this update');
  const nextUpdate = answer.optional(explicit(0), 'next update');
  const nextUpdateMs = nextUpdate === undefined ? undefined : onlyTime(nextUpdate);
  refuseCritical(answer.optional(explicit(1), 'single extensions'), []);
  answer.end('single response');
  return { hash, issuerNameHash, issuerKeyHash, serial, status, thisUpdateMs, nextUpdateMs };
}

/** Parameters are left out, or NULL (RFC 5754 section 2). */
function hashAlgorithm(identifier: DerReader): string {
  const algorithm = oid(identifier.next('hash algorithm'), 'hash algorithm');
  identifier.optional(tags.null, 'hash algorithm');
  identifier.end('hash algorithm');
  return algorithm;
}

/** Section 4.4.1: whoever stapled the response, and not the verifier, asked with this nonce. */
const NONCE = '1.3.6.1.5.5.7.48.1.2';

function refuseCritical(holder: Element | undefined, known: readonly string[]): void {
  if (holder === undefined) return;
  for (const [id, { critical }] of readExtensions(holder.value, 'OCSP extension'))
    demand(!critical || known.includes(id), `OCSP response: unknown critical extension ${id}`);
}

function onlyTime({ value }: Element): number {
  const reader = new DerReader(value);
  const ms = nextTime(reader, 'next update');
  reader.end('next update');
  return ms;
}

function statusOf(tag: number): OcspAnswer['status'] {
  if (tag === implicit(0)) return 'good';
  return tag === explicit(1) ? 'revoked' : 'unknown';
}

/** For the record. */
export const answerText = ({ serial, status }: OcspAnswer): string => `serial number ${serial}: ${status}`;
