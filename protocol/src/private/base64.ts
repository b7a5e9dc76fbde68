/** Base64 (RFC 4648 section 4, with padding), as a member of wire types and as bytes. */
import * as v from 'valibot';

// The last character has bits to spare, which are zero (section 3.5): the same bytes are always the same text.
const pattern = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$/;

/** Text that decodes to at most so many bytes. */
export const base64Of = (bytesMax: number) =>
  v.pipe(v.string(), v.maxLength(4 * Math.ceil(bytesMax / 3)), v.regex(pattern, 'not base64'));

/** Undefined when malformed or longer than `bytesMax`. */
export function bytesOfBase64(text: string, bytesMax: number): Uint8Array<ArrayBuffer> | undefined {
  if (text.length > 4 * Math.ceil(bytesMax / 3) || !pattern.test(text)) return undefined;
  const binary = atob(text);
  if (binary.length > bytesMax) return undefined;
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

/** A function takes only so many arguments. */
const PIECE = 8_192;

export function base64OfBytes(bytes: Uint8Array): string {
  let binary = '';
  for (let i = 0; i < bytes.length; i += PIECE)
    binary += String.fromCharCode(...bytes.subarray(i, i + PIECE));
  return btoa(binary);
}
