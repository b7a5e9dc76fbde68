/**
 * Revocation and more by a token of NVIDIA's remote attestation service: a detached EAT (RFC 9711) of the form
 * `[["JWT", overall], {"GPU-0": token}]`, whose overall token names the others by their digests.
 */
import { hexOf, sha256Hex } from '@tussah/protocol/bytes';
import * as v from 'valibot';
import { limits } from '../limits.ts';
import { demand } from '../malformed.ts';
import type { NrasKey } from '../policy/policy.ts';
import { parseAs } from '../schema.ts';
import { isoOf, type Clock } from '../steps/clock.ts';
import type { Certificate } from '../x509/certificate.ts';
import { parseToken, verifyEs384, type Token } from './jwt.ts';
import type { GpuRecord } from './plan.ts';
import { noStaple, type DetachedEat, type Staple } from './revocation.ts';

const seconds = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const dated = { iss: v.string(), eat_nonce: v.string(), iat: seconds, nbf: seconds, exp: seconds };
const OverallSchema = v.object({
  ...dated,
  'x-nvidia-overall-att-result': v.boolean(),
  submods: v.record(v.string(), v.tuple([v.literal('DIGEST'), v.tuple([v.literal('SHA-256'), v.string()])])),
});
const GpuSchema = v.object({
  ...dated,
  ueid: v.string(),
  measres: v.string(),
  dbgstat: v.string(),
  secboot: v.boolean(),
  'x-nvidia-gpu-attestation-report-cert-chain': v.object({
    'x-nvidia-cert-status': v.string(),
    'x-nvidia-cert-ocsp-status': v.string(),
  }),
});
type Overall = v.InferOutput<typeof OverallSchema>;
type Gpu = v.InferOutput<typeof GpuSchema>;

const ISSUER = 'https://nras.attestation.nvidia.com';

export interface NrasSubject {
  readonly leaf: Certificate;
  readonly nonce: Uint8Array;
  /** The policy's; without any, no token can be believed. */
  readonly keys: readonly NrasKey[];
}

interface GpuToken {
  readonly name: string;
  readonly compact: string;
  readonly token: Token;
  readonly claims: Gpu;
}

export async function checkNras(
  record: GpuRecord,
  [[, overallText], submodules]: DetachedEat,
  subject: NrasSubject,
  clock: Clock,
): Promise<Staple> {
  const overallToken = record.parse('gpu.revocation', 'tokens in compact form', () =>
    parseToken(overallText),
  );
  const tokens = record.parse('gpu.revocation', 'tokens in compact form', () => readTokens(submodules));
  if (overallToken === undefined || tokens === undefined) return noStaple;
  await checkSignatures(record, [overallToken, ...tokens.map(({ token }) => token)], subject.keys);
  const overall = record.parse('gpu.nras.claims', 'the claims of an overall result', () =>
    parseAs(OverallSchema, overallToken.payload, 'overall'),
  );
  const all = record.parse('gpu.nras.claims', "the claims of a GPU's result", () =>
    tokens.map((each): GpuToken => ({ ...each, claims: parseAs(GpuSchema, each.token.payload, each.name) })),
  );
  if (overall === undefined || all === undefined) return noStaple;
  const ueid = BigInt(`0x${subject.leaf.serial}`).toString();
  const own = all.find(({ claims }) => claims.ueid === ueid);
  record.check('gpu.nras.device', own !== undefined, {
    expected: ueid,
    got: all.map(({ claims }) => claims.ueid).join(', ') || 'none',
  });
  if (own === undefined) return noStaple;
  checkBoth(record, overall, own, hexOf(subject.nonce), clock);
  checkGpu(record, own.claims);
  const others = all.filter((each) => each !== own).map(({ name }) => `token ${name}`);
  return { givenAtMs: [overall.iat * 1000, own.claims.iat * 1000], unused: others };
}

function readTokens(submodules: Readonly<Record<string, string>>) {
  const names = Object.keys(submodules);
  demand(names.length > 0 && names.length <= limits.gpus, 'detached EAT: no submodule, or too many');
  return names.map((name) => {
    const compact = submodules[name] ?? '';
    return { name, compact, token: parseToken(compact) };
  });
}

/** Whatever the header says, a token is verified with ES384 and a key from the policy, or not at all. */
async function checkSignatures(
  record: GpuRecord,
  tokens: readonly Token[],
  keys: readonly NrasKey[],
): Promise<void> {
  record.check(
    'gpu.nras.algorithm',
    tokens.every(({ algorithm }) => algorithm === 'ES384'),
    {
      expected: 'ES384',
      got: tokens.map(({ algorithm }) => algorithm).join(', '),
    },
  );
  const named = tokens.map(({ keyId }) => keys.find(({ kid }) => kid === keyId));
  const known = record.check(
    'gpu.nras.key',
    named.every((key) => key !== undefined),
    {
      expected: keys.map(({ kid }) => kid).join(' or ') || 'a policy with nrasKeys',
      got: tokens.map(({ keyId }) => keyId ?? 'none').join(', '),
    },
  );
  if (!known) return;
  const signed = await Promise.all(
    tokens.map(async (token, i) => {
      const key = named[i];
      return key !== undefined && verifyEs384(token, key);
    }),
  );
  record.check('gpu.nras.signature', signed.every(Boolean));
}

function checkBoth(record: GpuRecord, overall: Overall, own: GpuToken, nonce: string, clock: Clock): void {
  const both = [overall, own.claims];
  record.check(
    'gpu.nras.issuer',
    both.every(({ iss }) => iss === ISSUER),
    {
      expected: ISSUER,
      got: both.map(({ iss }) => iss).join(', '),
    },
  );
  const early = both.filter(
    ({ nbf, iat }) => !clock.within(Math.max(nbf, iat) * 1000, Number.MAX_SAFE_INTEGER - 1),
  );
  // RFC 7519 section 4.1.4: on or after `exp` it is refused.
  const late = both.filter(({ exp }) => !clock.within(0, exp * 1000 - 1));
  record.check('gpu.nras.dates', early.length === 0 && late.length === 0, {
    expected: isoOf(clock.nowMs),
    got: both.map(({ nbf, exp }) => `${isoOf(nbf * 1000)} to ${isoOf(exp * 1000)}`).join(', '),
  });
  record.check(
    'gpu.nras.nonce',
    both.every(({ eat_nonce: each }) => each.toLowerCase() === nonce),
    {
      expected: nonce,
      got: both.map(({ eat_nonce: each }) => each).join(', '),
    },
  );
  const digest = overall.submods[own.name]?.[1][1];
  const expected = sha256Hex(own.compact);
  record.check('gpu.nras.submodule', digest === expected, { expected, got: digest ?? 'none' });
  record.check('gpu.nras.result', overall['x-nvidia-overall-att-result']);
}

function checkGpu(record: GpuRecord, claims: Gpu): void {
  record.check('gpu.nras.measurements', claims.measres === 'success', {
    expected: 'success',
    got: claims.measres,
  });
  record.check('gpu.nras.debug', claims.dbgstat === 'disabled', {
    expected: 'disabled',
    got: claims.dbgstat,
  });
  record.check('gpu.nras.secure-boot', claims.secboot);
  const chain = claims['x-nvidia-gpu-attestation-report-cert-chain'];
  const [status, ocsp] = [chain['x-nvidia-cert-status'], chain['x-nvidia-cert-ocsp-status']];
  record.check('gpu.nras.revocation', status === 'valid' && ocsp === 'good', {
    expected: 'valid and good',
    got: `${status} and ${ocsp}`,
  });
}
