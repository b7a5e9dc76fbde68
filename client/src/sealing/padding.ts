/** Sizes: what can be seen of a sealed request and of its answer (docs/private-tier.md). */
import type { Padding } from '@tussah/protocol/private/header';
import type { ChunkPayload, InnerRequest } from '@tussah/protocol/private/inner-request';
import { privateLimits } from '@tussah/protocol/private/private-limits';

const TAG_BYTES = 16;
const BUCKET_BYTES = 64;
const PACED_BYTES = 256;
const PACED_CHUNKS_MIN = 8;
/** Largest plaintext of a chunk; a multiple of the bucket. */
const CHUNK_BYTES_MAX = privateLimits.chunkBytes - TAG_BYTES;
/** Before the JSON of a chunk stands its length. */
const CHUNK_PREFIX_BYTES = 2;
const INNER_PREFIX_BYTES = 4;

const encoder = new TextEncoder();
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The Padmé size (PURBs, section 4) of so many bytes, at least 1,024. */
export function padmeBytes(bytes: number): number {
  if (bytes <= privateLimits.innerBytesMin) return privateLimits.innerBytesMin;
  const exponent = Math.floor(Math.log2(bytes));
  const significant = Math.floor(Math.log2(exponent)) + 1;
  const step = 2 ** (exponent - significant);
  return Math.ceil(bytes / step) * step;
}

/** `u32(length) | JSON | zeros`; undefined when it is too large to be sent. */
export function encodeInner(inner: InnerRequest): Uint8Array<ArrayBuffer> | undefined {
  const json = encoder.encode(JSON.stringify(inner));
  const size = padmeBytes(INNER_PREFIX_BYTES + json.length);
  if (size + TAG_BYTES > privateLimits.bodyBytes) return undefined;
  const bytes = new Uint8Array(size);
  new DataView(bytes.buffer).setUint32(0, json.length);
  bytes.set(json, INNER_PREFIX_BYTES);
  return bytes;
}

/** Undefined unless it is JSON of the length said and zeros. */
export const decodeInner = (bytes: Uint8Array): unknown =>
  bytes.length < INNER_PREFIX_BYTES
    ? undefined
    : decode(bytes, INNER_PREFIX_BYTES, viewOf(bytes).getUint32(0));

/** Whether a request is small enough to be sealed. */
export const fitsSealed = (inner: InnerRequest): boolean => encodeInner(inner) !== undefined;

/** Bytes of a payload's JSON. */
export const payloadBytes = (payload: ChunkPayload): number => encoder.encode(JSON.stringify(payload)).length;

/** Size of the plaintext that holds a payload of so many bytes. Throws a `RangeError` where none does. */
export function chunkPlaintextBytes(padding: Padding, payloadBytes: number): number {
  if (payloadBytes > payloadBytesMax(padding)) throw new RangeError('the payload does not fit a chunk');
  const needed = CHUNK_PREFIX_BYTES + payloadBytes;
  if (padding === 'paced') return PACED_BYTES;
  return padding === 'none' ? needed : Math.ceil(needed / BUCKET_BYTES) * BUCKET_BYTES;
}

const plaintextBytesMax = (padding: Padding): number => (padding === 'paced' ? PACED_BYTES : CHUNK_BYTES_MAX);

/** How large a payload's JSON may be under a padding. */
export const payloadBytesMax = (padding: Padding): number => plaintextBytesMax(padding) - CHUNK_PREFIX_BYTES;

/** `u16(length) | JSON | zeros`, of so many bytes in all. Throws a `RangeError` where it does not fit. */
export function encodeChunk(payload: ChunkPayload, plaintextBytes: number): Uint8Array<ArrayBuffer> {
  const json = encoder.encode(JSON.stringify(payload));
  if (CHUNK_PREFIX_BYTES + json.length > plaintextBytes || plaintextBytes > CHUNK_BYTES_MAX)
    throw new RangeError('the payload does not fit the chunk');
  const bytes = new Uint8Array(plaintextBytes);
  new DataView(bytes.buffer).setUint16(0, json.length);
  bytes.set(json, CHUNK_PREFIX_BYTES);
  return bytes;
}

/** Undefined unless it is JSON of the length said and zeros. */
export const decodeChunk = (bytes: Uint8Array): unknown =>
  bytes.length < CHUNK_PREFIX_BYTES
    ? undefined
    : decode(bytes, CHUNK_PREFIX_BYTES, viewOf(bytes).getUint16(0));

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function decode(bytes: Uint8Array, prefix: number, length: number): unknown {
  const end = prefix + length;
  if (end > bytes.length || bytes.subarray(end).some((byte) => byte !== 0)) return undefined;
  try {
    return JSON.parse(utf8.decode(bytes.subarray(prefix, end)));
  } catch {
    return undefined;
  }
}

/** Chunks of a paced answer that has so many to send: 8, and beyond that at most three significant bits. */
export function pacedChunkCount(chunks: number): number {
  if (chunks <= PACED_CHUNKS_MIN) return PACED_CHUNKS_MIN;
  const step = 2 ** (Math.floor(Math.log2(chunks)) - 2);
  return Math.ceil(chunks / step) * step;
}

/**
 * Text in pieces that each fit a chunk as `{ text }`, none of them empty. Half a surrogate pair, which has no form in UTF-8, becomes
 * U+FFFD: hold back one at the end of a delta until the next has come.
 */
export function splitText(padding: Padding, text: string): string[] {
  const room = payloadBytesMax(padding) - payloadBytes({ text: '' });
  const wellFormed = text.toWellFormed();
  if (wellFormed === '') return [];
  if (jsonBytes(wellFormed) <= room) return [wellFormed];
  const pieces: string[] = [];
  let piece = '';
  let used = 0;
  for (const character of wellFormed) {
    const bytes = jsonBytes(character);
    if (used + bytes > room) {
      pieces.push(piece);
      [piece, used] = ['', 0];
    }
    piece += character;
    used += bytes;
  }
  pieces.push(piece);
  return pieces;
}

/** Bytes of text inside of a JSON string. */
const jsonBytes = (text: string): number => encoder.encode(JSON.stringify(text)).length - 2;
