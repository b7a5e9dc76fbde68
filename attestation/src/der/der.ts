/**
 * DER (ITU-T X.690), as much of it as certificates, CRLs and OCSP responses need, and strict: one tag byte, definite
 * lengths in their shortest form, nothing left over. What BER would allow beyond that is refused.
 */
import type { Bytes } from '../bytes/bytes.ts';
import { demand } from '../malformed.ts';

export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag of an explicitly tagged, hence constructed, member `[n]`. */
export const explicit = (n: number): number => 0xa0 | n;
/** Tag of an implicitly tagged primitive member `[n]`. */
export const implicit = (n: number): number => 0x80 | n;

export interface Element {
  readonly tag: number;
  readonly value: Bytes;
  /** Tag, length and value. */
  readonly raw: Bytes;
}

/** Reads the members of one constructed value. */
export class DerReader {
  readonly #bytes: Bytes;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes as Bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  /** The tag of what comes next; undefined at the end. */
  get nextTag(): number | undefined {
    return this.#bytes[this.#at];
  }

  next(what: string): Element {
    const bytes = this.#bytes;
    const start = this.#at;
    const tag = bytes[start];
    demand(tag !== undefined, `${what}: missing`);
    // X.690 section 8.1.2.4: tag numbers above 30 take more bytes; nothing here has them.
    demand((tag & 0x1f) !== 0x1f, `${what}: tag in several bytes`);
    const { length, size } = lengthAt(bytes, start + 1, what);
    const from = start + 1 + size;
    demand(from + length <= bytes.length, `${what}: longer than what holds it`);
    this.#at = from + length;
    return { tag, value: bytes.subarray(from, this.#at), raw: bytes.subarray(start, this.#at) };
  }

  expect(tag: number, what: string): Element {
    const element = this.next(what);
    demand(element.tag === tag, `${what}: tag ${hexTag(element.tag)} instead of ${hexTag(tag)}`);
    return element;
  }

  optional(tag: number, what: string): Element | undefined {
    return this.nextTag === tag ? this.next(what) : undefined;
  }

  /** A reader of the members of the sequence that comes next. */
  sequence(what: string): DerReader {
    return new DerReader(this.expect(tags.sequence, what).value);
  }

  end(what: string): void {
    demand(this.done, `${what}: unknown members at the end`);
  }
}

const hexTag = (tag: number) => `0x${tag.toString(16).padStart(2, '0')}`;

/** X.690 sections 8.1.3 and 10.1. */
function lengthAt(bytes: Uint8Array, at: number, what: string): { length: number; size: number } {
  const first = bytes[at];
  demand(first !== undefined, `${what}: no length`);
  if (first < 0x80) return { length: first, size: 1 };
  const count = first & 0x7f;
  demand(count >= 1 && count <= 3, `${what}: length in ${count} bytes`);
  let length = 0;
  for (let i = 1; i <= count; i++) {
    const byte = bytes[at + i];
    demand(byte !== undefined, `${what}: length cut off`);
    length = length * 256 + byte;
  }
  const shortest = count === 1 ? 0x80 : 2 ** (8 * (count - 1));
  demand(length >= shortest, `${what}: length not in its shortest form`);
  return { length, size: 1 + count };
}

/** The one element that fills `bytes`, which must be a sequence. */
export function wholeSequence(bytes: Uint8Array, what: string): DerReader {
  const outer = new DerReader(bytes);
  const inner = outer.sequence(what);
  outer.end(what);
  return inner;
}
