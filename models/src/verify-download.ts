/**
 * Checks downloaded bytes while they arrive, against what the catalogue promises: size and SHA-256.
 *
 * The Web Crypto API hashes whole buffers only, which for weights of gigabytes would hold everything twice; so hashing is
 * incremental, in JavaScript. A file without a known hash passes with `verified: false`, and whoever shows it says so.
 *
 * MLC's `tensor-cache.json` lists each shard as `{ dataPath, nbytes, md5sum, records }`. WebLLM checks none of them. We check
 * size and MD5, which finds damage; it finds an attacker only if the list itself was checked by SHA-256, and even then no
 * better than MD5 resists a forger of second preimages. `shardsOf` gives the files to check.
 */
import { md5 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';
import { hexOf } from '@tussah/protocol/bytes';
import { type Result, fail, ok } from '@tussah/protocol/errors';
import * as v from 'valibot';

export type DownloadFailureCode =
  | 'download_too_large'
  | 'download_too_short'
  | 'download_hash_mismatch'
  | 'download_interrupted'
  | 'download_index_malformed';

/** What a download must be; a catalogue's `ModelFile` is one. */
export interface ExpectedFile {
  readonly url: string;
  readonly bytes?: number | undefined;
  readonly sha256?: string | undefined;
  readonly md5?: string | undefined;
}

export interface CheckedFile {
  readonly bytes: number;
  /** Of what arrived. */
  readonly sha256: string;
  /** Whether a SHA-256 was promised and met. */
  readonly verified: boolean;
}

/** Most bytes of a file whose size is not promised: 16 GiB. */
const UNKNOWN_BYTES_MAX = 16 * 2 ** 30;

/** Hashes chunks in their order. After a failure it accepts nothing more. */
export class DownloadVerifier {
  readonly #expected: ExpectedFile;
  readonly #sha256 = sha256.create();
  readonly #md5: ReturnType<typeof md5.create> | undefined;
  #bytes = 0;

  constructor(expected: ExpectedFile) {
    this.#expected = expected;
    this.#md5 = expected.md5 === undefined ? undefined : md5.create();
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Takes the next bytes; refuses them as soon as there are more than promised. */
  push(chunk: Uint8Array): Result<void, DownloadFailureCode> {
    const { bytes, url } = this.#expected;
    this.#bytes += chunk.length;
    if (this.#bytes > (bytes ?? UNKNOWN_BYTES_MAX)) {
      return refuse(
        'download_too_large',
        `${nameOf(url)} is larger than the ${bytes ?? UNKNOWN_BYTES_MAX} bytes allowed.`,
      );
    }
    this.#sha256.update(chunk);
    this.#md5?.update(chunk);
    return ok(undefined);
  }

  /** Call once, after the last chunk. */
  finish(): Result<CheckedFile, DownloadFailureCode> {
    const { url, bytes, sha256: promised, md5: promisedMd5 } = this.#expected;
    if (bytes !== undefined && this.#bytes < bytes) {
      return refuse('download_too_short', `${nameOf(url)} ended after ${this.#bytes} of ${bytes} bytes.`);
    }
    const found = hexOf(this.#sha256.digest());
    if (promised !== undefined && promised !== found) {
      return refuse(
        'download_hash_mismatch',
        `${nameOf(url)} has SHA-256 ${found}, not the promised ${promised}.`,
      );
    }
    const foundMd5 = this.#md5 && hexOf(this.#md5.digest());
    if (foundMd5 !== promisedMd5) {
      return refuse(
        'download_hash_mismatch',
        `${nameOf(url)} has MD5 ${foundMd5}, not the promised ${promisedMd5}.`,
      );
    }
    return ok({ bytes: this.#bytes, sha256: found, verified: promised !== undefined });
  }
}

/**
 * Reads a response's body to the end into one buffer. `onProgress` gets the bytes so far. The stream is cancelled at the
 * first failure, so that an oversized download stops at once.
 */
export async function readVerified(
  body: ReadableStream<Uint8Array>,
  expected: ExpectedFile,
  onProgress: (bytes: number) => void = () => {},
): Promise<Result<CheckedFile & { readonly data: Uint8Array<ArrayBuffer> }, DownloadFailureCode>> {
  const verifier = new DownloadVerifier(expected);
  const chunks: Uint8Array[] = [];
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      const pushed = verifier.push(value);
      if (!pushed.ok) {
        await reader.cancel().catch(() => {});
        return pushed;
      }
      chunks.push(value);
      onProgress(verifier.bytes);
    }
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return refuse(
      'download_interrupted',
      `${nameOf(expected.url)} broke off after ${verifier.bytes} bytes: ${why}`,
    );
  }
  const checked = verifier.finish();
  if (!checked.ok) return checked;
  const data = new Uint8Array(checked.value.bytes);
  let at = 0;
  for (const chunk of chunks) {
    data.set(chunk, at);
    at += chunk.length;
  }
  return ok({ ...checked.value, data });
}

const TensorCacheSchema = v.object({
  records: v.pipe(
    v.array(
      v.object({
        // A plain name: the list must not point outside its own folder.
        dataPath: v.pipe(v.string(), v.regex(/^[\w-][\w.-]*$/)),
        nbytes: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
        md5sum: v.optional(v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))),
      }),
    ),
    v.minLength(1),
    v.maxLength(10_000),
  ),
});

/** The weight files that a parsed `tensor-cache.json` lists, beside its own address. */
export function shardsOf(
  index: unknown,
  indexUrl: string,
): Result<readonly ExpectedFile[], DownloadFailureCode> {
  const parsed = v.safeParse(TensorCacheSchema, index);
  if (!parsed.success)
    return refuse('download_index_malformed', `${nameOf(indexUrl)}: ${v.summarize(parsed.issues)}`);
  const folder = indexUrl.slice(0, indexUrl.lastIndexOf('/') + 1);
  return ok(
    parsed.output.records.map(({ dataPath, nbytes, md5sum }) => ({
      url: folder + dataPath,
      bytes: nbytes,
      md5: md5sum,
    })),
  );
}

const remedies: Record<DownloadFailureCode, string> = {
  download_too_large:
    'Do not use the file. Check the address, and that the catalogue is of the same release.',
  download_too_short: 'Download it again.',
  download_hash_mismatch:
    'Delete the file and download it again; if that repeats, the host serves other bytes: do not use it.',
  download_interrupted: 'Check the connection and download it again.',
  download_index_malformed: 'Check that the address serves a tensor-cache.json made by MLC.',
};

function refuse(code: DownloadFailureCode, message: string) {
  return fail<DownloadFailureCode>({ code, message, remedy: remedies[code] });
}

const nameOf = (url: string) => url.slice(url.lastIndexOf('/') + 1);
