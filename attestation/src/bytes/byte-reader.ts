/** Reads fixed structures front to back, little-endian, and never past the end. */
import { demand } from '../malformed.ts';
import type { Bytes } from './bytes.ts';

export class ByteReader {
  readonly #bytes: Bytes;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes as Bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  /** How far it has read. */
  get offset(): number {
    return this.#at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number, what: string): Bytes {
    const from = this.#advance(length, what);
    return this.#bytes.subarray(from, from + length);
  }

  u8(what: string): number {
    return this.#view.getUint8(this.#advance(1, what));
  }

  u16(what: string): number {
    return this.#view.getUint16(this.#advance(2, what), true);
  }

  u24(what: string): number {
    const from = this.#advance(3, what);
    return this.#view.getUint16(from, true) + 65_536 * this.#view.getUint8(from + 2);
  }

  u32(what: string): number {
    return this.#view.getUint32(this.#advance(4, what), true);
  }

  u64(what: string): bigint {
    return this.#view.getBigUint64(this.#advance(8, what), true);
  }

  #advance(length: number, what: string): number {
    demand(length <= this.left, `${what}: ${length} bytes wanted at ${this.#at}, ${this.left} left`);
    const from = this.#at;
    this.#at += length;
    return from;
  }
}
