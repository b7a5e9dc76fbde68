/** Hexadecimal, base64url and hashes, synchronous and the same in browsers and Node. */
import { sha256 } from '@noble/hashes/sha2.js';

const encoder = new TextEncoder();

export function hexOf(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}

/** Bytes of lowercase or uppercase hexadecimal; undefined when malformed. */
export function bytesOfHex(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  return bytes;
}

export const sha256Hex = (data: Uint8Array | string): string =>
  hexOf(sha256(typeof data === 'string' ? encoder.encode(data) : data));

/** SHA-256 over token ids as consecutive little-endian 32-bit integers. */
export const hashOfIds = (ids: readonly number[]): string => sha256Hex(bytesOfIds(ids));

function bytesOfIds(ids: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(ids.length * 4);
  const view = new DataView(bytes.buffer);
  ids.forEach((id, i) => view.setUint32(4 * i, id, true));
  return bytes;
}

/** `hashOfIds` of a list that grows: it can be asked for at any time, and nothing is read twice. */
export class IdsHasher {
  readonly #hash = sha256.create();

  add(ids: readonly number[]): void {
    this.#hash.update(bytesOfIds(ids));
  }

  hash(): string {
    return hexOf(this.#hash.clone().digest());
  }
}
