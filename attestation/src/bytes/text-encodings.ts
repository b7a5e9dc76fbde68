/** Hexadecimal, base64 and PEM (RFC 7468), strict, as the collateral and evidence files of others use them. */
import { bytesOfHex } from '@tussah/protocol/bytes';
import { demand } from '../malformed.ts';
import type { Bytes } from './bytes.ts';

export function fromHex(text: string, what: string): Bytes {
  const bytes = bytesOfHex(text);
  demand(bytes !== undefined, `${what}: not hexadecimal`);
  return bytes;
}

const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** RFC 4648 section 4, padded; line breaks and spaces are allowed between characters. */
export function fromBase64(text: string, what: string): Bytes {
  const packed = text.replace(/[\r\n\t ]/g, '');
  demand(base64.test(packed), `${what}: not base64`);
  return bytesOfBinary(atob(packed));
}

/** RFC 4648 section 5 without padding, as in JSON Web Tokens. */
export function fromBase64Url(text: string, what: string): Bytes {
  demand(/^[A-Za-z0-9_-]*$/.test(text) && text.length % 4 !== 1, `${what}: not base64url`);
  return bytesOfBinary(atob(text.replaceAll('-', '+').replaceAll('_', '/')));
}

export const toBase64 = (bytes: Uint8Array): string =>
  btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(''));

function bytesOfBinary(binary: string): Bytes {
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** The contents of all PEM blocks with this label, in order. Text around them is allowed, as RFC 7468 section 2 does. */
export function pemBlocks(text: string, label: string, max: number): Bytes[] {
  const begin = `-----BEGIN ${label}-----`;
  const end = `-----END ${label}-----`;
  const blocks: Bytes[] = [];
  for (let at = text.indexOf(begin); at >= 0; at = text.indexOf(begin, at)) {
    const from = at + begin.length;
    const to = text.indexOf(end, from);
    demand(to >= 0, `${label}: a PEM block without end`);
    demand(blocks.length < max, `${label}: more than ${max} PEM blocks`);
    blocks.push(fromBase64(text.slice(from, to), label));
    at = to + end.length;
  }
  return blocks;
}
