/**
 * The sealed answer: chunks with a number in the nonce and the last one marked, so that none can be forged, left out, repeated,
 * moved or cut off unseen. Its keys come from a node's own wrap: no other candidate has them.
 */
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { base64OfBytes, bytesOfBase64 } from '@tussah/protocol/private/base64';
import { ChunkPayloadSchema, type ChunkPayload } from '@tussah/protocol/private/inner-request';
import { privateLimits } from '@tussah/protocol/private/private-limits';
import { Transcript } from '@tussah/protocol/private/transcript';
import * as v from 'valibot';
import { chunkAad, joined, keyInfo, nonceInfo, ownHex, responseContext, type Bytes } from './labels.ts';
import { decodeChunk, encodeChunk } from './padding.ts';

/** What client and node share for the answer; the bytes are gone once this is there. */
export interface ResponseSecret {
  readonly headerHash: string;
  readonly enc: Bytes;
  readonly secret: CryptoKey;
}

/** `context` is the HPKE context that the job was sealed or opened with. */
export async function responseSecretOf(
  context: { export(context: ArrayBuffer, length: number): Promise<ArrayBuffer> },
  headerHash: string,
  enc: Bytes,
): Promise<ResponseSecret> {
  const bytes = new Uint8Array(await context.export(responseContext(headerHash).buffer, 32));
  const secret = await crypto.subtle.importKey('raw', bytes, 'HKDF', false, ['deriveKey', 'deriveBits']);
  bytes.fill(0);
  return { headerHash, enc, secret };
}

interface ChunkKeys {
  readonly key: CryptoKey;
  readonly iv: Bytes;
  /** For a chunk that is not the last, and for the last. */
  readonly aads: readonly [Bytes, Bytes];
}

/** `responseNonce` is hexadecimal, 32 bytes; throws for anything else. */
async function chunkKeysOf(
  { headerHash, enc, secret }: ResponseSecret,
  responseNonce: string,
  usage: 'encrypt' | 'decrypt',
): Promise<ChunkKeys> {
  if (!/^[0-9a-f]{64}$/.test(responseNonce)) throw new RangeError('a response nonce has 32 bytes');
  // HKDF of WebCrypto extracts and expands in one; the key never comes into reach of scripts.
  const hkdf = (info: Bytes) => ({
    name: 'HKDF',
    hash: 'SHA-256',
    salt: joined(enc, ownHex(responseNonce)),
    info,
  });
  const [key, iv] = await Promise.all([
    crypto.subtle.deriveKey(hkdf(keyInfo), secret, { name: 'AES-GCM', length: 256 }, false, [usage]),
    crypto.subtle.deriveBits(hkdf(nonceInfo), secret, 96),
  ]);
  const aad = chunkAad(headerHash);
  return {
    key,
    iv: new Uint8Array(iv),
    aads: [joined(aad, Uint8Array.of(0)), joined(aad, Uint8Array.of(1))],
  };
}

/** `iv XOR n`, n in 12 bytes big-endian. */
function chunkCipher({ iv, aads }: ChunkKeys, n: number, last: boolean): AesGcmParams {
  const nonce = iv.slice();
  const view = new DataView(nonce.buffer);
  view.setUint32(8, (view.getUint32(8) ^ n) >>> 0);
  return { name: 'AES-GCM', iv: nonce, additionalData: aads[last ? 1 : 0] };
}

export interface SealedChunk {
  readonly index: number;
  /** Base64. */
  readonly data: string;
}

/** The node's side. Chunks may be asked for all at once; they are sealed in order. */
export class ResponseSealer {
  readonly #keys: ChunkKeys;
  readonly #transcript = new Transcript();
  #turn: Promise<unknown> = Promise.resolve();
  #chunks = 0;
  #closed = false;

  /** Use `newResponseSealer`. */
  constructor(keys: ChunkKeys) {
    this.#keys = keys;
  }

  /** How many were asked for. */
  get chunks(): number {
    return this.#chunks;
  }

  /** `plaintextBytes` is the size with its padding, of `chunkPlaintextBytes`. Rejects after the last, and beyond the number allowed. */
  async seal(payload: ChunkPayload, plaintextBytes: number, last: boolean): Promise<SealedChunk> {
    if (this.#closed) throw new Error('nothing is sealed after the last chunk');
    const plaintext = encodeChunk(payload, plaintextBytes);
    const index = this.#chunks;
    // Only the last may have the last number.
    if (index >= privateLimits.chunks - (last ? 0 : 1)) throw new Error('an answer has no more chunks');
    this.#chunks += 1;
    this.#closed = last;
    const sealed = this.#turn.then(async () => {
      const cipher = chunkCipher(this.#keys, index, last);
      const chunk = new Uint8Array(await crypto.subtle.encrypt(cipher, this.#keys.key, plaintext));
      this.#transcript.add(chunk);
      return { index, data: base64OfBytes(chunk) };
    });
    this.#turn = sealed;
    return sealed;
  }

  /** Hash over the chunks sealed so far, hexadecimal. */
  transcript(): string {
    return this.#transcript.hash();
  }
}

export type ChunkProblem = 'chunk_forged' | 'chunk_out_of_order';

/** The client's side. After a problem all further chunks have the same one. */
export class ResponseOpener {
  readonly #keys: ChunkKeys;
  readonly #transcript = new Transcript();
  #turn: Promise<unknown> = Promise.resolve();
  #chunks = 0;
  #closed = false;
  #ended = false;
  #problem: ChunkProblem | undefined;

  /** Use `PendingResponse.open`. */
  constructor(keys: ChunkKeys) {
    this.#keys = keys;
  }

  /** How many were opened. */
  get chunks(): number {
    return this.#chunks;
  }

  /** Whether the last chunk has come. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Takes whatever the coordinator says. */
  open(chunk: SealedChunk & { readonly last: boolean }): Promise<Result<ChunkPayload, ChunkProblem>> {
    const opened = this.#turn.then(async () => {
      if (this.#problem !== undefined) return refused(this.#problem);
      const result = await this.#openNext(chunk);
      if (!result.ok) this.#problem = result.failure.code;
      return result;
    });
    this.#turn = opened;
    return opened;
  }

  /** Hash over the chunks opened so far, hexadecimal. */
  transcript(): string {
    return this.#transcript.hash();
  }

  async #openNext({
    index,
    data,
    last,
  }: SealedChunk & { readonly last: boolean }): Promise<Result<ChunkPayload, ChunkProblem>> {
    if (this.#closed || index !== this.#chunks || index >= privateLimits.chunks)
      return refused('chunk_out_of_order');
    const chunk = bytesOfBase64(data, privateLimits.chunkBytes);
    const plaintext = chunk === undefined ? undefined : await this.#decrypt(chunk, index, last);
    const payload = plaintext === undefined ? undefined : payloadOf(plaintext);
    if (chunk === undefined || payload === undefined || (this.#ended && !isCover(payload)))
      return refused('chunk_forged');
    this.#transcript.add(chunk);
    this.#chunks += 1;
    this.#closed = last;
    this.#ended ||= payload.end !== undefined || payload.failed !== undefined;
    return ok(payload);
  }

  async #decrypt(chunk: Bytes, index: number, last: boolean): Promise<Uint8Array | undefined> {
    try {
      const cipher = chunkCipher(this.#keys, index, last);
      return new Uint8Array(await crypto.subtle.decrypt(cipher, this.#keys.key, chunk));
    } catch {
      return undefined;
    }
  }
}

function payloadOf(plaintext: Uint8Array): ChunkPayload | undefined {
  const parsed = v.safeParse(ChunkPayloadSchema, decodeChunk(plaintext));
  return parsed.success ? parsed.output : undefined;
}

const isCover = (payload: ChunkPayload): boolean => Object.keys(payload).length === 0;

const sentences: Readonly<Record<ChunkProblem, string>> = {
  chunk_forged: 'A piece of the answer was not written by the machine that was asked.',
  chunk_out_of_order: 'A piece of the answer is missing, was repeated, or stands in the wrong place.',
};

const refused = (code: ChunkProblem): Result<never, ChunkProblem> =>
  fail({ code, message: sentences[code], remedy: 'Do not trust the rest; ask again, or ask elsewhere.' });

export const newResponseSealer = async (
  secret: ResponseSecret,
  responseNonce: string,
): Promise<ResponseSealer> => new ResponseSealer(await chunkKeysOf(secret, responseNonce, 'encrypt'));

export const newResponseOpener = async (
  secret: ResponseSecret,
  responseNonce: string,
): Promise<ResponseOpener> => new ResponseOpener(await chunkKeysOf(secret, responseNonce, 'decrypt'));
