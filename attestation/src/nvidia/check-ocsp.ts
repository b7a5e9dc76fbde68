/**
 * Revocation by stapled OCSP responses (RFC 6960). The device makes its leaf certificate itself, so NVIDIA's service knows
 * only those above it; the root can't be revoked.
 */
import { equalBytes, type Bytes } from '../bytes/bytes.ts';
import { fromBase64 } from '../bytes/text-encodings.ts';
import { isoOf, type Clock } from '../steps/clock.ts';
import { verifyX509 } from '../x509/algorithms.ts';
import type { Certificate } from '../x509/certificate.ts';
import { keyUsages } from '../x509/extensions.ts';
import { answerText, parseOcspResponse, type OcspAnswer, type OcspResponse } from '../x509/ocsp.ts';
import type { GpuRecord } from './plan.ts';

interface Subject {
  readonly certificate: Certificate;
  readonly issuer: Certificate;
}
interface Found extends Subject {
  readonly response: OcspResponse;
  readonly answer: OcspAnswer;
}

/** Resolves with the moments at which the answers were given. */
export async function checkOcsp(
  record: GpuRecord,
  encoded: readonly string[],
  chain: readonly Certificate[],
  clock: Clock,
): Promise<readonly number[]> {
  const responses = record.parse('gpu.revocation', 'OCSP responses in base64', () =>
    encoded.map((text) => parseOcspResponse(fromBase64(text, 'OCSP response'))),
  );
  if (responses === undefined) return [];
  const subjects = chain.slice(1, -1).flatMap((certificate, i) => {
    const issuer = chain[i + 2];
    return issuer === undefined ? [] : [{ certificate, issuer }];
  });
  const found = (await Promise.all(subjects.map((subject) => find(subject, responses)))).flat();
  const covered = subjects.every(({ certificate }) => found.some((each) => each.certificate === certificate));
  record.check('gpu.ocsp.coverage', subjects.length > 0 && covered, {
    expected: `answers for ${subjects.map(({ certificate }) => certificate.serial).join(', ')}`,
    got: found.map(({ answer }) => answerText(answer)).join(', ') || 'none',
  });
  if (found.length === 0) return [];
  const signers = await Promise.all(found.map((each) => signerOf(each, clock)));
  record.check(
    'gpu.ocsp.responder',
    signers.every((signer) => signer !== undefined),
  );
  const signed = await Promise.all(found.map(({ response }, i) => isSigned(response, signers[i])));
  record.check('gpu.ocsp.signature', signed.every(Boolean));
  const late = found.filter(({ answer }) => !clock.within(answer.thisUpdateMs, answer.nextUpdateMs));
  record.check('gpu.ocsp.dates', late.length === 0, {
    expected: isoOf(clock.nowMs),
    got: (late.length === 0 ? found : late)
      .map(({ answer }) => `${isoOf(answer.thisUpdateMs)} to ${isoOf(answer.nextUpdateMs)}`)
      .join(', '),
  });
  const statuses = found.map(({ answer }) => answer.status);
  record.check(
    'gpu.ocsp.status',
    statuses.every((status) => status === 'good'),
    {
      expected: 'good',
      got: found.map(({ answer }) => answerText(answer)).join(', '),
    },
  );
  return found.map(({ answer }) => answer.thisUpdateMs);
}

const digest = async (hash: string, bytes: Bytes): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest(hash, bytes));

/** All answers about a certificate: one that says revoked is not outvoted by another. Section 4.1.1: CertID. */
async function find(subject: Subject, responses: readonly OcspResponse[]): Promise<Found[]> {
  const found: Found[] = [];
  for (const response of responses)
    for (const answer of response.answers) {
      if (answer.serial !== subject.certificate.serial) continue;
      const [name, key] = await Promise.all([
        digest(answer.hash, subject.issuer.subject),
        digest(answer.hash, subject.issuer.key.point),
      ]);
      if (equalBytes(name, answer.issuerNameHash) && equalBytes(key, answer.issuerKeyHash))
        found.push({ ...subject, response, answer });
    }
  return found;
}

const OCSP_SIGNING = '1.3.6.1.5.5.7.3.9';

/** Section 4.2.2.2: the issuer itself, or who holds a certificate by that issuer for this purpose. */
async function signerOf({ response, issuer }: Found, clock: Clock): Promise<Certificate | undefined> {
  const candidates = [issuer, ...response.certificates];
  for (const candidate of candidates)
    if (
      (await isNamed(response, candidate)) &&
      (candidate === issuer || (await isDelegate(candidate, issuer, clock)))
    )
      return candidate;
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

/** Key usage, basic constraints, extended key usage. */
const understood: readonly string[] = ['2.5.29.15', '2.5.29.19', '2.5.29.37'];

const isSigned = async ({ algorithm, signature, tbs }: OcspResponse, signer: Certificate | undefined) =>
  signer !== undefined && verifyX509(signer.key, algorithm, signature, tbs);
