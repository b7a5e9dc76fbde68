/**
 * What a node states about itself, and how evidence binds it. The suite is inside, so that nobody can downgrade it; the keys
 * are of one epoch.
 */
import { bytesOfHex } from '@tussah/protocol/bytes';
import { signedBytes } from '@tussah/protocol/canonical';
import type { SuiteName } from '@tussah/protocol/private/header';
import * as v from 'valibot';
import { concatBytes, utf8, type Bytes } from '../bytes/bytes.ts';

/** HPKE suites (RFC 9180; X-Wing: draft-connolly-cfrg-xwing-kem) and the length of their public keys in bytes. */
export const suites = {
  'xwing-hkdf-sha256-aes256gcm': 1216,
  'x25519-hkdf-sha256-aes256gcm': 32,
} as const satisfies Readonly<Record<SuiteName, number>>;
export type Suite = SuiteName;

const hex32 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'not 32 bytes in lowercase hexadecimal'));

/** Canonical JSON has no form for half a surrogate pair (RFC 8785 section 3.2.2.2). */
const name = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(128),
  v.regex(/^\P{Surrogate}*$/u, 'not well-formed Unicode'),
);

export const StatementSchema = v.strictObject({
  suite: name,
  /** Hexadecimal. */
  hpkePublicKey: v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{2})+$/), v.maxLength(4096)),
  /** The Ed25519 key that signs receipts. */
  receiptKey: hex32,
  epochNonce: hex32,
  /** Name of the image; the measurements have to be those of the policy's image of this name. */
  image: name,
  modelDigest: hex32,
  configDigest: hex32,
  notAfterMs: v.pipe(v.number(), v.safeInteger(), v.minValue(0)),
});
export type Statement = v.InferOutput<typeof StatementSchema>;

const sha256 = async (bytes: Bytes): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));

const bytesOf = (hex: string): Bytes => bytesOfHex(hex) ?? new Uint8Array();

/** SHA256("tussah-gpu/1" | epoch nonce | SHA256(HPKE public key)): what a GPU's report has to answer. */
export async function gpuNonce({ epochNonce, hpkePublicKey }: Statement): Promise<Bytes> {
  const keyHash = await sha256(bytesOf(hpkePublicKey));
  return sha256(concatBytes(utf8('tussah-gpu/1'), bytesOf(epochNonce), keyHash));
}

/**
 * SHA512 over the line "tussah-tee/1" and the canonical JSON of the statement with `gpuEvidence`: SHA-256 of each GPU's
 * report, in order, in hexadecimal. It is the report data of the machine's quote or report.
 */
export async function reportData(statement: Statement, gpuEvidence: readonly string[]): Promise<Bytes> {
  const bytes = signedBytes('tussah-tee/1', { ...statement, gpuEvidence });
  return new Uint8Array(await crypto.subtle.digest('SHA-512', bytes));
}

/** "tussah-tee/1" | SHA256(bundle): the HPKE info of whatever is sealed to a node, so that both mean the same bundle. */
export async function hpkeInfo(bundle: string): Promise<Bytes> {
  return concatBytes(utf8('tussah-tee/1'), await sha256(utf8(bundle)));
}
