/**
 * Files of a model: downloaded once, hashed while they arrive, kept in the browser's Cache under the hash, and hashed again
 * each time they are read from there. What an engine gets is a `Blob` whose bytes were checked in this very call.
 * Files without a promised hash are kept under their address; a later reading must find the bytes first seen.
 */
import { DownloadVerifier, type ExpectedFile } from '@tussah/models/verify-download';
import { engineError, throwIfAborted, toEngineError } from './engine-failures.ts';

export const MODEL_CACHE = 'tussah-models';

export interface DownloadParts {
  readonly fetch: (url: string, init: RequestInit) => Promise<Response>;
  /** Null where there is no storage: every start downloads again. */
  readonly openCache: () => Promise<Cache | null>;
  readonly pause: (ms: number) => Promise<void>;
}

const browserParts: DownloadParts = {
  fetch: (url, init) => fetch(url, init),
  openCache: async () => {
    try {
      return await caches.open(MODEL_CACHE);
    } catch {
      return null;
    }
  },
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

/** Attempts of one download; each goes on where the one before broke off, if the host allows it. */
const ATTEMPTS = 3;
const PAUSE_MS = 500;
/** Chunks are joined into blobs of this size, so that the browser can move them out of memory. */
const PIECE_BYTES = 8 * 2 ** 20;
/** Written beside a cached file of unknown hash. */
const FOUND_SHA256 = 'x-tussah-sha256';

export class ModelFiles {
  readonly #parts: DownloadParts;

  constructor(parts: DownloadParts = browserParts) {
    this.#parts = parts;
  }

  /** The checked bytes of one file. `onBytes` gets the file's bytes so far. Throws `EngineError`. */
  async read(
    expected: ExpectedFile,
    signal: AbortSignal,
    onBytes: (bytes: number) => void = () => {},
  ): Promise<Blob> {
    throwIfAborted(signal);
    const cache = await this.#parts.openCache();
    const kept = await this.#kept(cache, expected, signal, onBytes);
    if (kept !== null) return kept;
    onBytes(0);
    const { blob, sha256 } = await this.#download(expected, signal, onBytes);
    if (cache !== null) await keep(cache, keyOf(expected), blob, sha256);
    throwIfAborted(signal);
    return blob;
  }

  async #kept(
    cache: Cache | null,
    expected: ExpectedFile,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<Blob | null> {
    const response = await cache?.match(keyOf(expected));
    if (cache === null || response === undefined) return null;
    try {
      const blob = await response.blob();
      const seen = response.headers.get(FOUND_SHA256) ?? undefined;
      const verifier = new DownloadVerifier({ ...expected, sha256: expected.sha256 ?? seen });
      const complete = await pour(blob.stream(), verifier, signal, onBytes, () => {});
      if (complete && verifier.finish().ok) return blob;
    } catch (error) {
      throwIfAborted(signal);
      if (!(error instanceof DOMException)) throw error;
    }
    // Damaged on disk, or not readable any more: as if it had never been kept.
    await cache.delete(keyOf(expected));
    return null;
  }

  async #download(
    expected: ExpectedFile,
    signal: AbortSignal,
    onBytes: (bytes: number) => void,
  ): Promise<{ blob: Blob; sha256: string }> {
    let verifier = new DownloadVerifier(expected);
    let pieces = new Pieces();
    for (let attempt = 1; ; attempt++) {
      try {
        const response = await this.#request(expected.url, verifier.bytes, signal);
        if (response.status !== 206 && verifier.bytes > 0) {
          verifier = new DownloadVerifier(expected);
          pieces = new Pieces();
        }
        if (response.body === null) throw new Error('the response has no body');
        const into = pieces;
        const sound = await pour(response.body, verifier, signal, onBytes, (chunk) => into.add(chunk));
        if (!sound) throw engineError('file_corrupt', `${nameOf(expected.url)} is larger than promised.`);
        break;
      } catch (error) {
        throwIfAborted(signal);
        const failed = toEngineError(error, 'download_failed');
        if (failed.failure.code !== 'download_failed' || attempt === ATTEMPTS || error === failed)
          throw failed;
        await this.#parts.pause(PAUSE_MS * attempt);
      }
    }
    const checked = verifier.finish();
    if (!checked.ok) throw engineError('file_corrupt', checked.failure.message);
    return { blob: pieces.join(), sha256: checked.value.sha256 };
  }

  async #request(url: string, from: number, signal: AbortSignal): Promise<Response> {
    const headers: HeadersInit = from > 0 ? { range: `bytes=${from}-` } : {};
    const response = await this.#parts.fetch(url, {
      signal,
      headers,
      credentials: 'omit',
      cache: 'no-store',
    });
    if (response.ok) return response;
    const problem = `${nameOf(url)} could not be downloaded: status ${response.status}.`;
    // A refusal by the host is final; a failure of the host may pass.
    if (response.status < 500 && response.status !== 429) throw engineError('download_failed', problem);
    throw new Error(problem);
  }
}

/** Reads a stream to its end through the verifier; false when it is larger than promised. */
async function pour(
  body: ReadableStream<Uint8Array>,
  verifier: DownloadVerifier,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
  use: (chunk: Uint8Array<ArrayBuffer>) => void,
): Promise<boolean> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      throwIfAborted(signal);
      if (done) return true;
      if (!verifier.push(value).ok) return false;
      use(value as Uint8Array<ArrayBuffer>);
      onBytes(verifier.bytes);
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

class Pieces {
  readonly #blobs: Blob[] = [];
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  #bytes = 0;

  add(chunk: Uint8Array<ArrayBuffer>): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= PIECE_BYTES) this.#pack();
  }

  join(): Blob {
    this.#pack();
    return new Blob(this.#blobs);
  }

  #pack(): void {
    if (this.#bytes > 0) this.#blobs.push(new Blob(this.#chunks));
    this.#chunks = [];
    this.#bytes = 0;
  }
}

/** Keeping a file spares the next download; that there is no room for it must not stop the engine. */
async function keep(cache: Cache, key: string, blob: Blob, sha256: string): Promise<void> {
  try {
    const headers = { 'content-length': String(blob.size), [FOUND_SHA256]: sha256 };
    await cache.put(key, new Response(blob, { headers }));
  } catch {
    await cache.delete(key).catch(() => false);
  }
}

/** An address that nobody serves: the cache is ours alone. */
const keyOf = ({ url, sha256, md5, bytes }: ExpectedFile): string => {
  const base = 'https://models.tussah.invalid';
  if (sha256 !== undefined) return `${base}/sha256/${sha256}`;
  if (md5 !== undefined) return `${base}/md5/${md5}-${bytes ?? 0}`;
  return `${base}/url/${encodeURIComponent(url)}`;
};

const nameOf = (url: string) => url.slice(url.lastIndexOf('/') + 1);
