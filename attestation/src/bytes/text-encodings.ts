/** Hexadecimal, base64 and PEM (RFC 7468), strict, as the collateral and evidence files of others use them. */
import { bytesOfHex } from '@tussah/protocol/bytes';
import { demand } from '../malformed.ts';
import type { Bytes } from './bytes.ts';

export function fromHex(text: string, what: string): Bytes {
  const bytes = bytesOfHex(text);
  demand(bytes !== undefined, `${what}: not hexadecimal`);
  return bytes;
}

// The last character has bits to spare, which are zero (RFC 4648 section 3.5): the same bytes are always the same text.
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/;
const base64Url = /^(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-][AQgw]|[A-Za-z0-9_-]{2}[AEIMQUYcgkosw048])?$/;

/** RFC 4648 section 4, padded. */
export function fromBase64(text: string, what: string): Bytes {
  demand(base64.test(text), `${what}: not base64`);
  return bytesOfBinary(atob(text));
}

/** RFC 4648 section 5 without padding, as in JSON Web Tokens. */
export function fromBase64Url(text: string, what: string): Bytes {
  demand(base64Url.test(text), `${what}: not base64url`);
  return bytesOfBinary(atob(text.replaceAll('-', '+').replaceAll('_', '/')));
}

export const toBase64 = (bytes: Uint8Array): string =>
  btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(''));

function bytesOfBinary(binary: string): Bytes {
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** The contents of all PEM blocks with this label, in order, and of nothing else: other text would be there unsigned. */
export function pemBlocks(text: string, label: string, max: number): Bytes[] {
  const { blocks, around } = splitPem(text, label, max);
  demand(/^\s*$/.test(around), `${label}: something else than PEM blocks`);
  return blocks;
}

/** The same out of an archive, which has explanations and other blocks beside them, as RFC 7468 section 2 allows. */
export const pemBlocksWithin = (text: string, label: string, max: number): Bytes[] =>
  splitPem(text, label, max).blocks;

function splitPem(text: string, label: string, max: number): { blocks: Bytes[]; around: string } {
  const parts = text.split(new RegExp(`-----BEGIN ${label}-----([^-]*)-----END ${label}-----`));
  const contents = parts.filter((_, i) => i % 2 === 1);
  demand(contents.length <= max, `${label}: more than ${max} PEM blocks`);
  return {
    blocks: contents.map((content) => fromBase64(content.replace(/\s/g, ''), label)),
    around: parts.filter((_, i) => i % 2 === 0).join(''),
  };
}
