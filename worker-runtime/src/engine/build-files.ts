/** Reads several files of a build as one download with one progress. */
import type { ExpectedFile } from '@tussah/models/verify-download';
import type { ModelFiles } from './download.ts';
import { engineError, throwIfAborted } from './engine-failures.ts';
import type { EngineBuild, EngineFile, LoadProgress } from './port.ts';

/** At most this many files at once: hosts and phones both mind more. */
const PARALLEL = 3;

export const expectedOf = ({ url, bytes, sha256 }: EngineFile): ExpectedFile => ({
  url,
  bytes: bytes ?? undefined,
  sha256: sha256 ?? undefined,
});

/** Throws `EngineError`; one failure stops the others. The result is in the order of `files`. */
export async function readFiles(
  store: ModelFiles,
  files: readonly ExpectedFile[],
  onProgress: (progress: LoadProgress) => void,
  signal: AbortSignal,
): Promise<Blob[]> {
  const failing = new AbortController();
  const either = AbortSignal.any([signal, failing.signal]);
  const loaded = files.map(() => 0);
  const totalBytes = files.every(({ bytes }) => bytes !== undefined)
    ? files.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0)
    : null;
  const blobs: Blob[] = [];
  let highest = 0;
  const report = (i: number, bytes: number) => {
    loaded[i] = bytes;
    // A download that starts over would go back; what is shown waits instead.
    highest = Math.max(
      highest,
      Math.min(
        loaded.reduce((sum, n) => sum + n, 0),
        totalBytes ?? Infinity,
      ),
    );
    onProgress({ step: 'download', loadedBytes: highest, totalBytes });
  };
  const waiting = [...files.entries()];
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [i, file] = next;
      blobs[i] = await store.read(file, either, (bytes) => report(i, bytes));
      throwIfAborted(either);
    }
  };
  const workers = Array.from({ length: PARALLEL }, () =>
    work().catch((error: unknown) => {
      failing.abort();
      throw error;
    }),
  );
  const results = await Promise.allSettled(workers);
  throwIfAborted(signal);
  // The first failure is the cause; the others were aborted by it.
  const failures = results.flatMap((result) =>
    result.status === 'rejected' ? [result.reason as unknown] : [],
  );
  const cause = failures.find((error) => !isAbort(error)) ?? failures[0];
  if (cause !== undefined) throw cause;
  return blobs;
}

const isAbort = (error: unknown) =>
  error instanceof Error && 'failure' in error && (error.failure as { code?: unknown }).code === 'aborted';

/** The one file that a predicate names, or `engine_failed`: a build without it is a mistake of the catalogue. */
export function fileOf(build: EngineBuild, what: string, fits: (file: EngineFile) => boolean): EngineFile {
  const file = build.files.find(fits);
  if (file === undefined) throw engineError('engine_failed', `The build ${build.id} has no ${what}.`);
  return file;
}

export const named = (name: string) => (file: EngineFile) => new URL(file.url).pathname.endsWith(`/${name}`);
