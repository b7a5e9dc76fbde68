/** What is authenticated beside each sealed text, and the labels that keep one from passing for another. */
import { bytesOfHex } from '@tussah/protocol/bytes';

export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder();

export const joined = (...parts: readonly Uint8Array[]): Bytes => {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
};

/** Of bytes that we wrote as hexadecimal ourselves, or that a schema has checked. */
export function ownHex(text: string): Bytes {
  const bytes = bytesOfHex(text);
  if (bytes === undefined) throw new RangeError('not hexadecimal');
  return bytes;
}

const withHash =
  (label: string) =>
  (headerHash: string): Bytes =>
    joined(encoder.encode(label), ownHex(headerHash));

export const bodyAad = withHash('tussah-body/1\n');
export const wrapAad = withHash('tussah-wrap/1\n');
export const responseContext = withHash('tussah-response/1\n');
export const chunkAad = withHash('tussah-chunk/1\n');

/** `bundle` is the name: SHA-256 of its text. */
export const hpkeInfoOf = (bundle: string): Bytes => joined(encoder.encode('tussah-tee/1'), ownHex(bundle));

export const keyInfo = encoder.encode('tussah-key/1');
export const nonceInfo = encoder.encode('tussah-nonce/1');
/** The body key is for one message. */
export const bodyNonce = (): Bytes => new Uint8Array(12);
