/** The server of the site, as the service worker asks it: bounded, and told apart when it is away from when it differs. */
import {
  addressOf,
  RELEASE_FILE,
  releaseLimits,
  SIGNATURE_FILE,
  type SiteFile,
} from '@tussah/protocol/site/release';
import { matches, readBounded, type Bytes } from './file-bytes.ts';

export type Fetch = (address: string, init: RequestInit) => Promise<Response>;

export type FileAnswer =
  | { readonly kind: 'same'; readonly bytes: Bytes }
  | { readonly kind: 'changed' }
  | { readonly kind: 'away' };

/** Not allowed, too slow, too early, too often: they say nothing about the file. */
const refusals = new Set([401, 403, 408, 425, 429]);

export class SiteServer {
  readonly #fetch: Fetch;

  constructor(fetch: Fetch) {
    this.#fetch = fetch;
  }

  /** The text of `release.json`; null when the server has none; undefined when it does not answer. */
  readRelease(): Promise<string | null | undefined> {
    return this.#text(RELEASE_FILE, releaseLimits.manifestBytes);
  }

  /** The text of `release.sig.json`, as above. */
  readSignature(): Promise<string | null | undefined> {
    return this.#text(SIGNATURE_FILE, releaseLimits.signatureBytes);
  }

  /** Asks the server itself, not the browser's cache: `fresh`, or with a question whether what is cached still holds. */
  async readFile(file: SiteFile, fresh = false): Promise<FileAnswer> {
    const answer = await this.#ask(addressOf(file.path), fresh ? 'no-store' : 'no-cache', file.size);
    if (answer === undefined) return { kind: 'away' };
    if (answer === null || !(await matches(answer, file))) return { kind: 'changed' };
    return { kind: 'same', bytes: answer };
  }

  async #text(path: string, most: number): Promise<string | null | undefined> {
    const bytes = await this.#ask(`/${path}`, 'no-store', most);
    return bytes === undefined || bytes === null ? bytes : new TextDecoder().decode(bytes);
  }

  /** Null: an answer, but no file of at most this size. Undefined: no answer, or one that is about the asking. */
  async #ask(address: string, cache: RequestCache, most: number): Promise<Bytes | null | undefined> {
    try {
      const response = await this.#fetch(address, { cache, redirect: 'manual' });
      if (response.status >= 500 || refusals.has(response.status)) return undefined;
      if (!response.ok) return null;
      return (await readBounded(response, most)) ?? null;
    } catch {
      return undefined;
    }
  }
}
