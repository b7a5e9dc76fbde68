/** Writes DER (ITU-T X.690), for simulated certificates, CRLs and OCSP responses. */
import { concatBytes, utf8, type Bytes } from '../bytes/bytes.ts';
import { tags } from '../der/der.ts';

export function element(tag: number, ...parts: readonly Uint8Array[]): Bytes {
  const value = concatBytes(...parts);
  return concatBytes(Uint8Array.of(tag), lengthBytes(value.length), value);
}

function lengthBytes(length: number): Bytes {
  if (length < 0x80) return Uint8Array.of(length);
  if (length < 0x100) return Uint8Array.of(0x81, length);
  if (length < 0x10000) return Uint8Array.of(0x82, length >> 8, length & 0xff);
  return Uint8Array.of(0x83, length >> 16, (length >> 8) & 0xff, length & 0xff);
}

export const sequence = (...parts: readonly Uint8Array[]): Bytes => element(tags.sequence, ...parts);
export const set = (...parts: readonly Uint8Array[]): Bytes => element(tags.set, ...parts);
export const explicitly = (n: number, ...parts: readonly Uint8Array[]): Bytes => element(0xa0 | n, ...parts);
export const octetString = (value: Uint8Array): Bytes => element(tags.octetString, value);
export const bitString = (value: Uint8Array, unused = 0): Bytes =>
  element(tags.bitString, Uint8Array.of(unused), value);
export const derNull = (): Bytes => element(tags.null);
export const derTrue = (): Bytes => element(tags.boolean, Uint8Array.of(0xff));
export const text = (tag: number, value: string): Bytes => element(tag, utf8(value));

/** A non-negative INTEGER out of a number or a magnitude. */
export function integer(value: number | Uint8Array): Bytes {
  const magnitude = typeof value === 'number' ? magnitudeOf(value) : stripped(value);
  const needsZero = (magnitude[0] ?? 0) >= 0x80 || magnitude.length === 0;
  return element(tags.integer, needsZero ? Uint8Array.of(0) : new Uint8Array(), magnitude);
}

function magnitudeOf(value: number): Bytes {
  const bytes: number[] = [];
  for (let rest = value; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest % 256);
  return Uint8Array.from(bytes);
}

function stripped(bytes: Uint8Array): Bytes {
  const first = bytes.findIndex((byte) => byte !== 0);
  return Uint8Array.from(first < 0 ? [] : bytes.subarray(first));
}

export function oidOf(dotted: string): Bytes {
  const [first = 0, second = 0, ...rest] = dotted.split('.').map(Number);
  const bytes = [40 * first + second, ...rest].flatMap((arc) => {
    const groups = [arc % 128];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128))
      groups.unshift(128 + (left % 128));
    return groups;
  });
  return element(tags.oid, Uint8Array.from(bytes));
}

/** UTCTime up to 2049, GeneralizedTime from then on, as RFC 5280 section 4.1.2.5 demands. */
export function timeOf(ms: number): Bytes {
  const digits = new Date(ms).toISOString().replace(/[-T:]/g, '').slice(0, 14);
  return digits < '2050'
    ? text(tags.utcTime, `${digits.slice(2)}Z`)
    : text(tags.generalizedTime, `${digits}Z`);
}

export const generalizedTime = (ms: number): Bytes =>
  text(tags.generalizedTime, `${new Date(ms).toISOString().replace(/[-T:]/g, '').slice(0, 14)}Z`);
