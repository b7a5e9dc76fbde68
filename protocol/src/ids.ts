/** Identifiers: a prefix that says what it names and 120 random bits in Crockford's base 32, lower case. */
import * as v from 'valibot';

const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
const LENGTH = 24;

export type IdPrefix = 'job' | 'rcp' | 'acct' | 'key' | 'sess' | 'txn';

/** Makes an id from at least 24 random bytes. */
export function idFrom(prefix: IdPrefix, random: Uint8Array): string {
  if (random.length < LENGTH) throw new RangeError(`an id needs ${LENGTH} random bytes`);
  let text = `${prefix}_`;
  for (let i = 0; i < LENGTH; i++) text += alphabet[(random[i] ?? 0) & 31];
  return text;
}

/** Random bytes drawn ahead, since each draw costs more than making the id; no byte is used twice. */
const drawn = new Uint8Array(128 * LENGTH);
let used = drawn.length;

export function newId(prefix: IdPrefix): string {
  if (used === drawn.length) {
    crypto.getRandomValues(drawn);
    used = 0;
  }
  const random = drawn.subarray(used, used + LENGTH);
  used += LENGTH;
  return idFrom(prefix, random);
}

const idSchema = (prefix: IdPrefix) =>
  v.pipe(v.string(), v.regex(new RegExp(`^${prefix}_[0-9a-hjkmnp-tv-z]{${LENGTH}}$`), `not a ${prefix}_ id`));

export const JobIdSchema = idSchema('job');
export const ReceiptIdSchema = idSchema('rcp');
export const SessionIdSchema = idSchema('sess');

/** An Ed25519 public key: 32 bytes as 64 lowercase hexadecimal digits. It is a contributor's identity. */
export const PublicKeySchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'not an Ed25519 public key'));
/** An Ed25519 signature: 64 bytes as 128 lowercase hexadecimal digits. */
export const SignatureSchema = v.pipe(v.string(), v.regex(/^[0-9a-f]{128}$/, 'not an Ed25519 signature'));
export const Sha256Schema = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/, 'not a SHA-256'));
