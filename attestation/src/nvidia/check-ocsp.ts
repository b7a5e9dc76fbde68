/**
 * Revocation by stapled OCSP responses (RFC 6960). The device makes its leaf certificate itself, so NVIDIA's service knows
 * only those above it; the root can't be revoked.
 */
import { equalBytes, type Bytes } from '../bytes/bytes.ts';
import { fromBase64 } from '../bytes/text-encodings.ts';
import { isoOf, type Clock } from '../steps/clock.ts';
import { verifyX509 } from '../x509/algorithms.ts';
import type { Certificate } from '../x509/certificate.ts';
import { extensionIds, keyUsages } from '../x509/extensions.ts';
import { answerText, parseOcspResponse, type OcspAnswer, type OcspResponse } from '../x509/ocsp.ts';
import type { GpuRecord } from './plan.ts';
import { noStaple, type Staple } from './revocation.ts';

interface Subject {
  readonly certificate: Certificate;
  readonly issuer: Certificate;
}
/** A response with the certificate that it is about. */
interface Found extends Subject {
  readonly response: OcspResponse;
}

export async function checkOcsp(
  record: GpuRecord,
  encoded: readonly string[],
  chain: readonly Certificate[],
  clock: Clock,
): Promise<Staple> {
  const responses = record.parse('gpu.revocation', 'OCSP responses in base64', () =>
    encoded.map((text) => parseOcspResponse(fromBase64(text, 'OCSP response'))),
  );
  if (responses === undefined) return noStaple;
  const subjects = chain.slice(1, -1).flatMap((certificate, i) => {
    const issuer = chain[i + 2];
    return issuer === undefined ? [] : [{ certificate, issuer }];
  });
  const found = (await Promise.all(responses.map((response) => find(response, subjects)))).flat();
  const covered = new Set(found.map(({ certificate }) => certificate));
  record.check('gpu.ocsp.coverage', subjects.length > 0 && covered.size === subjects.length, {
    expected: `answers for ${subjects.map(({ certificate }) => certificate.serial).join(', ')}`,
    got: found.map(({ response }) => answerText(response.answer)).join(', ') || 'none',
  });
  if (found.length === 0) return noStaple;
  await checkSignatures(record, found, clock);
  checkAnswers(record, found, clock);
  const unused = responses.length - covered.size;
  return {
    givenAtMs: found.map(({ response }) => response.answer.thisUpdateMs),
    unused: unused === 0 ? [] : [`${unused} of ${responses.length} OCSP responses`],
  };
}

const digest = async (hash: string, bytes: Bytes): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest(hash, bytes));

/** The certificate that a response is about, by its CertID: section 4.1.1. Nothing when it is about another one. */
async function find(response: OcspResponse, subjects: readonly Subject[]): Promise<Found[]> {
  const { serial, hash, issuerNameHash, issuerKeyHash } = response.answer;
  const found: Found[] = [];
  for (const subject of subjects.filter(({ certificate }) => certificate.serial === serial)) {
    const name = await digest(hash, subject.issuer.subject);
    const key = await digest(hash, subject.issuer.key.point);
    if (equalBytes(name, issuerNameHash) && equalBytes(key, issuerKeyHash))
      found.push({ ...subject, response });
  }
  return found;
}

async function checkSignatures(record: GpuRecord, found: readonly Found[], clock: Clock): Promise<void> {
  const signers = await Promise.all(found.map((each) => signerOf(each, clock)));
  record.check(
    'gpu.ocsp.responder',
    signers.every((signer) => signer !== undefined),
  );
  const signed = await Promise.all(found.map(({ response }, i) => isSigned(response, signers[i])));
  record.check('gpu.ocsp.signature', signed.every(Boolean));
}

/** All answers count: one that says revoked is not outvoted by another about the same certificate. */
function checkAnswers(record: GpuRecord, found: readonly Found[], clock: Clock): void {
  const answers = found.map(({ response }) => response.answer);
  const late = answers.filter((answer) => !clock.within(answer.thisUpdateMs, endOf(answer)));
  record.check('gpu.ocsp.dates', late.length === 0, {
    expected: isoOf(clock.nowMs),
    got: (late.length === 0 ? answers : late)
      .map((answer) => `${isoOf(answer.thisUpdateMs)} to ${isoOf(endOf(answer))}`)
      .join(', '),
  });
  record.check(
    'gpu.ocsp.status',
    answers.every(({ status }) => status === 'good'),
    { expected: 'good', got: answers.map(answerText).join(', ') },
  );
}

/** NVIDIA's SDK takes an hour, too, when an answer does not say when the next one comes (section 4.2.2.1). */
const WITHOUT_NEXT_UPDATE_MS = 3_600_000;
const endOf = ({ thisUpdateMs, nextUpdateMs }: OcspAnswer): number =>
  nextUpdateMs ?? thisUpdateMs + WITHOUT_NEXT_UPDATE_MS;

const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';

/**
 * Section 4.2.2.2: the issuer itself, or who holds a certificate by that issuer for this purpose. Of several certificates
 * of the name only the first is looked at, so that a response can't ask for more work than that.
 */
async function signerOf({ response, issuer }: Found, clock: Clock): Promise<Certificate | undefined> {
  if (await isNamed(response, issuer)) return issuer;
  for (const candidate of response.certificates)
    if (await isNamed(response, candidate))
      return (await isDelegate(candidate, issuer, clock)) ? candidate : undefined;
  return undefined;
}

async function isNamed({ responder }: OcspResponse, candidate: Certificate): Promise<boolean> {
  if ('name' in responder) return equalBytes(responder.name, candidate.subject);
  return equalBytes(responder.keyHash, await digest('SHA-1', candidate.key.point));
}

async function isDelegate(candidate: Certificate, issuer: Certificate, clock: Clock): Promise<boolean> {
  const critical = [...candidate.extensions].filter(([, { critical }]) => critical).map(([id]) => id);
  return (
    equalBytes(candidate.issuer, issuer.subject) &&
    candidate.purposes.includes(OCSP_SIGNING) &&
    candidate.usage?.has(keyUsages.digitalSignature) === true &&
    critical.every((id) => understood.includes(id)) &&
    clock.within(candidate.notBeforeMs, candidate.notAfterMs) &&
    (await verifyX509(issuer.key, candidate.algorithm, candidate.signature, candidate.tbs))
  );
}

const understood: readonly string[] = [
  extensionIds.keyUsage,
  extensionIds.basicConstraints,
  extensionIds.extendedKeyUsage,
];

const isSigned = async ({ algorithm, signature, tbs }: OcspResponse, signer: Certificate | undefined) =>
  signer !== undefined && verifyX509(signer.key, algorithm, signature, tbs);
