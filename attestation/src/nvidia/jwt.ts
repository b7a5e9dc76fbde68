/** Signed JSON Web Tokens in compact form (RFC 7515, 7519), with ES384 (RFC 7518 section 3.4) and no other algorithm. */
import * as v from 'valibot';
import { utf8, type Bytes } from '../bytes/bytes.ts';
import { parseJson } from '../bytes/json.ts';
import { fromBase64Url } from '../bytes/text-encodings.ts';
import { limits } from '../limits.ts';
import { demand, Malformed } from '../malformed.ts';
import type { NrasKey } from '../policy/policy.ts';
import { parseAs } from '../schema.ts';

const HeaderSchema = v.object({
  alg: v.string(),
  kid: v.optional(v.string()),
  crit: v.optional(v.unknown()),
});

export interface Token {
  readonly algorithm: string;
  readonly keyId: string | undefined;
  readonly payload: unknown;
  readonly signed: Bytes;
  readonly signature: Bytes;
}

/** Throws `Malformed`. */
export function parseToken(compact: string): Token {
  demand(compact.length <= limits.tokenCharacters, 'token: too long');
  const parts = compact.split('.');
  demand(parts.length === 3, 'token: not of three parts');
  const [header = '', payload = '', signature = ''] = parts;
  const { alg, kid, crit } = parseAs(HeaderSchema, json(header), 'token header');
  // RFC 7515 section 4.1.11: what is critical has to be understood.
  demand(crit === undefined, 'token: unknown critical header members');
  return {
    algorithm: alg,
    keyId: kid,
    payload: json(payload),
    signed: utf8(`${header}.${payload}`),
    signature: fromBase64Url(signature, 'token signature'),
  };
}

function json(part: string): unknown {
  return parseJson(textOf(fromBase64Url(part, 'token')), 'token');
}

function textOf(bytes: Bytes): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new Malformed('token: not UTF-8');
  }
}

/** False for any key that WebCrypto refuses. */
export async function verifyEs384(token: Token, { kty, crv, x, y }: NrasKey): Promise<boolean> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-384', hash: 'SHA-384' };
  try {
    const key = await crypto.subtle.importKey('jwk', { kty, crv, x, y }, algorithm, false, ['verify']);
    return await crypto.subtle.verify(algorithm, key, token.signature, token.signed);
  } catch {
    return false;
  }
}
