/** Values of DER's primitive types. */
import { hexOf } from '@tussah/protocol/bytes';
import type { Bytes } from '../bytes/bytes.ts';
import { demand } from '../malformed.ts';
import { tags, type DerReader, type Element } from './der.ts';

/** X.690 section 8.3: two's complement, shortest form. */
function integerBytes(element: Element, what: string): Bytes {
  const [first, second] = element.value;
  demand(element.tag === tags.integer && first !== undefined, `${what}: not an INTEGER`);
  const padded =
    second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80));
  demand(!padded, `${what}: INTEGER not in its shortest form`);
  demand(first < 0x80, `${what}: negative INTEGER`);
  return element.value;
}

/** A non-negative number of at most 48 bits. */
export function smallInteger(element: Element, what: string): number {
  const bytes = integerBytes(element, what);
  demand(bytes.length <= 6, `${what}: number too large`);
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

/** A non-negative number as lowercase hexadecimal without leading zero bytes; "00" for zero. */
export function integerHex(element: Element, what: string, maxBytes: number): string {
  const bytes = integerBytes(element, what);
  const magnitude = bytes[0] === 0 && bytes.length > 1 ? bytes.subarray(1) : bytes;
  demand(magnitude.length <= maxBytes, `${what}: number too large`);
  return hexOf(magnitude);
}

/** The magnitude of a non-negative number, left-padded with zeros to `size` bytes. */
export function integerPadded(element: Element, what: string, size: number): Bytes {
  const bytes = integerBytes(element, what);
  const magnitude = bytes[0] === 0 ? bytes.subarray(1) : bytes;
  demand(magnitude.length <= size, `${what}: number too large`);
  const padded = new Uint8Array(size);
  padded.set(magnitude, size - magnitude.length);
  return padded;
}

/** X.690 section 11.1: TRUE is 0xff and nothing else. */
export function boolean(element: Element, what: string): boolean {
  const [value] = element.value;
  demand(element.tag === tags.boolean && element.value.length === 1, `${what}: not a BOOLEAN`);
  demand(value === 0 || value === 0xff, `${what}: neither TRUE nor FALSE`);
  return value === 0xff;
}

/** Bits of a BIT STRING that fills whole bytes, such as keys and signatures. */
export function wholeBytes(element: Element, what: string): Bytes {
  demand(
    element.tag === tags.bitString && element.value[0] === 0,
    `${what}: not a BIT STRING of whole bytes`,
  );
  return element.value.subarray(1);
}

/**
 * Numbers of the bits that are set, the first one being 0. X.690 section 11.2.2 leaves trailing zero bits out; AMD's
 * authorities don't, so they are allowed.
 */
export function namedBits(element: Element, what: string): ReadonlySet<number> {
  const [unused, ...bytes] = element.value;
  demand(element.tag === tags.bitString && unused !== undefined && unused < 8, `${what}: not a BIT STRING`);
  const padding = (bytes.at(-1) ?? 0) & ((1 << unused) - 1);
  demand(padding === 0 && (bytes.length > 0 || unused === 0), `${what}: padding that is not zero`);
  const bits = new Set<number>();
  bytes.forEach((byte, i) => {
    for (let bit = 0; bit < 8; bit++) if ((byte & (0x80 >> bit)) !== 0) bits.add(8 * i + bit);
  });
  return bits;
}

export function octets(element: Element, what: string): Bytes {
  demand(element.tag === tags.octetString, `${what}: not an OCTET STRING`);
  return element.value;
}

/** Dotted decimal, X.690 section 8.19. */
export function oid(element: Element, what: string): string {
  const { tag, value } = element;
  demand(tag === tags.oid && value.length > 0 && value.length <= 32, `${what}: not an OBJECT IDENTIFIER`);
  const arcs: number[] = [];
  let arc = 0;
  let fresh = true;
  for (const byte of value) {
    demand(!fresh || byte !== 0x80, `${what}: an arc not in its shortest form`);
    arc = arc * 128 + (byte & 0x7f);
    demand(arc <= Number.MAX_SAFE_INTEGER / 128, `${what}: an arc too large`);
    fresh = byte < 0x80;
    if (!fresh) continue;
    arcs.push(arc);
    arc = 0;
  }
  demand(fresh, `${what}: cut off`);
  const [joined = 0, ...rest] = arcs;
  const first = Math.min(2, Math.floor(joined / 40));
  return [first, joined - 40 * first, ...rest].join('.');
}

const shapes = new Map<number, RegExp>([
  [tags.utcTime, /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/],
  [tags.generalizedTime, /^(\d\d\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/],
]);

/** Milliseconds since 1970, RFC 5280 section 4.1.2.5: seconds are there, the zone is Z, no fractions. */
export function time(element: Element, what: string): number {
  const match = shapes.get(element.tag)?.exec(String.fromCharCode(...element.value.subarray(0, 16)));
  demand(match !== undefined && match !== null, `${what}: not a time`);
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match.slice(1).map(Number);
  // Two digits: 50 to 99 are of the 20th century.
  const fullYear = element.tag === tags.generalizedTime ? year : year + (year < 50 ? 2000 : 1900);
  const ms = Date.UTC(fullYear, month - 1, day, hour, minute, second);
  const written = [fullYear, month, day, hour, minute, second].map((part) => String(part).padStart(2, '0'));
  const read = new Date(ms).toISOString().slice(0, 19).split(/[-T:]/);
  demand(written.join() === read.join(), `${what}: no such date`);
  return ms;
}

/** The time that comes next, in either of its two forms. */
export const nextTime = (reader: DerReader, what: string): number => time(reader.next(what), what);
