/** Comparing and joining bytes. */

export type Bytes = Uint8Array<ArrayBuffer>;

/** Not in constant time: everything compared here is public. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

export const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);

export function concatBytes(...parts: readonly Uint8Array[]): Bytes {
  const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

const encoder = new TextEncoder();
export const utf8 = (text: string): Bytes => encoder.encode(text);

/** Bytes 0 to 255 as the characters of the same numbers. */
export const latin1 = (bytes: Uint8Array): string => {
  let text = '';
  for (let i = 0; i < bytes.length; i += 8192) text += String.fromCharCode(...bytes.subarray(i, i + 8192));
  return text;
};

/** Each `(value & mask) === wanted`, as Intel's library compares; all of one length. */
export const equalUnderMask = (value: Uint8Array, wanted: Uint8Array, mask: Uint8Array): boolean =>
  value.length === wanted.length &&
  value.length === mask.length &&
  value.every((byte, i) => (byte & (mask[i] ?? 0)) === wanted[i]);
