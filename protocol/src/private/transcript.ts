/** The hash over the chunks of an answer as they were sent, which a node signs and a client compares. */
import { sha256 } from '@noble/hashes/sha2.js';
import { hexOf } from '../bytes.ts';

/** H(u32(length) | chunk | ...): it can be asked for at any time, and nothing is read twice. */
export class Transcript {
  readonly #hash = sha256.create();

  add(chunk: Uint8Array): void {
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, chunk.length);
    this.#hash.update(length).update(chunk);
  }

  hash(): string {
    return hexOf(this.#hash.clone().digest());
  }
}
