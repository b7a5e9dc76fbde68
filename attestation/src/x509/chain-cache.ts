/**
 * Remembers which chains' signatures were right, by the SHA-256 of the whole chain. Nothing that depends on time, on a CRL or
 * on a policy is remembered.
 */
import { hexOf } from '@tussah/protocol/bytes';
import { concatBytes } from '../bytes/bytes.ts';
import { limits } from '../limits.ts';
import type { Certificate } from './certificate.ts';

export class ChainCache {
  readonly #known = new Map<string, boolean>();

  /** What `verify` said about this very chain, now or before. */
  async signed(certificates: readonly Certificate[], verify: () => Promise<boolean>): Promise<boolean> {
    const bytes = concatBytes(...certificates.map(({ raw }) => raw));
    const hash = hexOf(new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)));
    const known = this.#known.get(hash);
    if (known !== undefined) return known;
    const signed = await verify();
    this.#known.set(hash, signed);
    const [oldest] = this.#known.keys();
    if (this.#known.size > limits.rememberedChains && oldest !== undefined) this.#known.delete(oldest);
    return signed;
  }
}
