/** The releases that this browser keeps, in its Cache Storage: the installed one, and the one before for pages still open. */
import * as v from 'valibot';
import {
  addressOf,
  hex64,
  parseJson,
  readRelease,
  releaseLimits,
  type SiteFile,
} from '@tussah/protocol/site/release';
import type { InstalledRelease } from '@tussah/protocol/site/release-signature';
import { readBounded, type Bytes } from './file-bytes.ts';
import type { Refusal } from './site-report.ts';

export interface Kept {
  readonly installed: InstalledRelease;
  readonly previous: InstalledRelease | null;
  readonly refusal: Refusal | null;
}

/** Each release has a cache of its own, by its hash. */
const PREFIX = 'tussah-site-';
const STATE_CACHE = `${PREFIX}state`;
/** No server is asked for it. */
const STATE_KEY = '/.kept-releases';
const cacheOf = (sha256: string) => PREFIX + sha256;

const StoredReleaseSchema = v.object({
  text: v.pipe(v.string(), v.maxLength(releaseLimits.manifestBytes)),
  signed: v.nullable(v.object({ key: hex64, issuedAtMs: v.number() })),
});
const StoredSchema = v.object({
  installed: StoredReleaseSchema,
  previous: v.nullable(StoredReleaseSchema),
  refusal: v.nullable(
    v.object({
      code: v.string(),
      message: v.string(),
      remedy: v.string(),
      paths: v.array(v.string()),
      atMs: v.number(),
    }),
  ),
});

export class KeptReleases {
  readonly #caches: CacheStorage;

  constructor(caches: CacheStorage) {
    this.#caches = caches;
  }

  /** Null before the first release is installed. */
  async read(): Promise<Kept | null> {
    const cache = await this.#caches.open(STATE_CACHE);
    const text = await (await cache.match(STATE_KEY))?.text();
    const stored = text === undefined ? undefined : parseJson(text, StoredSchema);
    const installed = stored === undefined ? null : releaseOf(stored.installed);
    if (stored === undefined || installed === null) return null;
    const previous = stored.previous === null ? null : releaseOf(stored.previous);
    return { installed, previous, refusal: stored.refusal };
  }

  /** Takes effect at once and as a whole; the files of all other releases are removed. */
  async write({ installed, previous, refusal }: Kept): Promise<void> {
    const stored: v.InferInput<typeof StoredSchema> = {
      installed: storedOf(installed),
      previous: previous === null ? null : storedOf(previous),
      refusal: refusal === null ? null : { ...refusal, paths: [...refusal.paths] },
    };
    const cache = await this.#caches.open(STATE_CACHE);
    await cache.put(STATE_KEY, new Response(JSON.stringify(stored)));
    const wanted = [installed, previous].flatMap((release) =>
      release === null ? [] : cacheOf(release.sha256),
    );
    await this.#removeAllBut([STATE_CACHE, ...wanted]);
  }

  async readFile(release: InstalledRelease, file: SiteFile): Promise<Bytes | undefined> {
    const cache = await this.#caches.open(cacheOf(release.sha256));
    const response = await cache.match(addressOf(file.path));
    return response === undefined ? undefined : readBounded(response, file.size);
  }

  /** For bytes that were checked. */
  async writeFile(sha256: string, file: SiteFile, bytes: Bytes): Promise<void> {
    const cache = await this.#caches.open(cacheOf(sha256));
    await cache.put(addressOf(file.path), new Response(bytes));
  }

  async forget(): Promise<void> {
    await this.#removeAllBut([]);
  }

  async #removeAllBut(names: readonly string[]): Promise<void> {
    const all = await this.#caches.keys();
    const unwanted = all.filter((name) => name.startsWith(PREFIX) && !names.includes(name));
    await Promise.all(unwanted.map((name) => this.#caches.delete(name)));
  }
}

const storedOf = ({ text, signed }: InstalledRelease) => ({ text, signed });

function releaseOf({ text, signed }: v.InferOutput<typeof StoredReleaseSchema>): InstalledRelease | null {
  const read = readRelease(text);
  return read.ok ? { ...read.value, signed } : null;
}
