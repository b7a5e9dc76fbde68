/**
 * Remembers which chains' signatures were right, by the SHA-256 of the whole chain. Nothing that depends on time, on a CRL or
 * on a policy is remembered, nor that a signature was wrong: WebCrypto may have failed for another reason.
 */
import { hexOf } from '@tussah/protocol/bytes';
import { concatBytes } from '../bytes/bytes.ts';
import { limits } from '../limits.ts';
import type { Certificate } from './certificate.ts';

export class ChainCache {
  readonly #known = new Set<string>();

  /** What `verify` said about this very chain, now or before. */
  async signed(certificates: readonly Certificate[], verify: () => Promise<boolean>): Promise<boolean> {
    const bytes = concatBytes(...certificates.map(({ raw }) => raw));
    const hash = hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
    if (this.#known.has(hash)) return true;
    const signed = await verify();
    if (signed) this.#remember(hash);
    return signed;
  }

  #remember(hash: string): void {
    this.#known.add(hash);
    const [oldest] = this.#known;
    if (this.#known.size > limits.rememberedChains && oldest !== undefined) this.#known.delete(oldest);
  }
}
