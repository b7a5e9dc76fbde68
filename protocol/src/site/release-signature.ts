/**
 * Who answers for a release. `release.sig.json` stands beside it, so that building it again still gives the same bytes.
 * A release names the keys that may sign the one after it: whoever has a release needs nothing else to judge the next.
 */
import * as v from 'valibot';
import { fail, ok, type Failure, type Result } from '../errors.ts';
import { domains, verifySignature } from '../signatures.ts';
import { hex64, parseJson, releaseLimits, versionText, type ReleaseText } from './release.ts';

const ReleaseSignatureSchema = v.strictObject({
  statement: v.strictObject({
    /** SHA-256 of the text of `release.json`. */
    release: hex64,
    version: versionText,
    /** Unix milliseconds. Releases follow each other by it, so none can be put in the place of a later one. */
    issuedAtMs: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
  }),
  signatures: v.pipe(
    v.array(v.strictObject({ key: hex64, signature: v.pipe(v.string(), v.regex(/^[0-9a-f]{128}$/)) })),
    v.minLength(1),
    v.maxLength(releaseLimits.keys),
  ),
});
export type ReleaseSignature = v.InferOutput<typeof ReleaseSignatureSchema>;
export type ReleaseStatement = ReleaseSignature['statement'];

/** A signature that holds. */
export interface Signed {
  readonly key: string;
  readonly issuedAtMs: number;
}

export type SignatureCode = 'unsigned_release' | 'unknown_key' | 'bad_signature';

/** Whether one of `keys` signed this release. `signature` is the text of `release.sig.json`; null: there is none. */
export async function checkSignature(
  { release, sha256 }: ReleaseText,
  signature: string | null,
  keys: readonly string[],
): Promise<Result<Signed, SignatureCode>> {
  if (signature === null) return fail(failures.unsigned_release);
  const signed = parseJson(signature, ReleaseSignatureSchema);
  if (signed === undefined) return fail(failures.bad_signature);
  const { statement, signatures } = signed;
  if (statement.release !== sha256 || statement.version !== release.version)
    return fail(failures.bad_signature);
  const known = signatures.filter(({ key }) => keys.includes(key));
  if (known.length === 0) return fail(failures.unknown_key);
  for (const { key, signature } of known)
    if (await verifySignature(key, domains.siteRelease, statement, signature))
      return ok({ key, issuedAtMs: statement.issuedAtMs });
  return fail(failures.bad_signature);
}

/** A release that is in use; `signed` is null for a development build. */
export interface InstalledRelease extends ReleaseText {
  readonly signed: Signed | null;
}

/** Whether `offered` may take the place of `installed`: only if a key that `installed` names signed it, and later. */
export async function judgeSuccessor(
  installed: InstalledRelease,
  offered: ReleaseText,
  signature: string | null,
): Promise<Result<Signed, SignatureCode | 'rolled_back'>> {
  const signed = await checkSignature(offered, signature, installed.release.keys);
  if (!signed.ok) return signed;
  if (installed.signed !== null && signed.value.issuedAtMs <= installed.signed.issuedAtMs)
    return fail(failures.rolled_back);
  return signed;
}

const keep = 'Go on with the copy that you have. Ask whoever runs this site what changed, over another way.';
const failures: {
  readonly [C in SignatureCode | 'rolled_back']: Failure<C>;
} = {
  unsigned_release: {
    code: 'unsigned_release',
    message: 'The server offers a changed site that nobody signed.',
    remedy: keep,
  },
  unknown_key: {
    code: 'unknown_key',
    message: 'The server offers a changed site, signed with a key that your copy does not know.',
    remedy: keep,
  },
  bad_signature: {
    code: 'bad_signature',
    message: 'The server offers a changed site, and its signature does not hold.',
    remedy: keep,
  },
  rolled_back: {
    code: 'rolled_back',
    message: 'The server offers an older release than the one that you have.',
    remedy: keep,
  },
};
