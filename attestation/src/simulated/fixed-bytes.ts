/** Bytes of fixed structures, little-endian. */
import { concatBytes, type Bytes } from '../bytes/bytes.ts';

export const zeros = (length: number): Bytes => new Uint8Array(length);
export const filled = (length: number, value: number): Bytes => new Uint8Array(length).fill(value);
export const u16 = (value: number): Bytes => Uint8Array.of(value & 0xff, value >> 8);
export const u32 = (value: number): Bytes => concatBytes(u16(value & 0xffff), u16(value >>> 16));
export const hexBytes = (hex: string): Bytes =>
  Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
