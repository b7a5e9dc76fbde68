/**
 * A release of the site: which files it consists of, byte for byte. `release.json` is published with the site; the same
 * sources give the same text, so anybody can build it and compare.
 */
import * as v from 'valibot';
import { canonicalText } from '../canonical.ts';
import { fail, ok, type Failure, type Result } from '../errors.ts';
import { sha256Hex } from '../bytes.ts';

export const RELEASE_FILE = 'release.json';
export const SIGNATURE_FILE = 'release.sig.json';
export const INDEX_FILE = 'index.html';
export const WORKER_FILE = 'service-worker.js';

export const releaseLimits = {
  manifestBytes: 2 ** 20,
  signatureBytes: 2 ** 16,
  files: 4000,
  fileBytes: 256 * 2 ** 20,
  keys: 16,
} as const;

export const hex64 = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
export const versionText = v.pipe(v.string(), v.maxLength(40), v.regex(/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/));

/** Relative, with `/` between folders; no part is `.` or `..`, and nothing needs escaping in an address. */
const filePath = v.pipe(
  v.string(),
  v.maxLength(200),
  v.regex(/^[\w-][\w.-]*(\/[\w-][\w.-]*)*$/, 'a plain relative path'),
);

const SiteFileSchema = v.strictObject({
  path: filePath,
  /** Bytes. */
  size: v.pipe(v.number(), v.safeInteger(), v.minValue(0), v.maxValue(releaseLimits.fileBytes)),
  sha256: hex64,
});
export type SiteFile = v.InferOutput<typeof SiteFileSchema>;

const ReleaseSchema = v.strictObject({
  format: v.literal('tussah-release/1'),
  version: versionText,
  /** What decides the build beside its sources. */
  inputs: v.strictObject({ node: versionText, lockSha256: hex64 }),
  /** Public Ed25519 keys; one of them has to sign the release that follows. */
  keys: v.pipe(v.array(hex64), v.maxLength(releaseLimits.keys)),
  files: v.pipe(
    v.array(SiteFileSchema),
    v.maxLength(releaseLimits.files),
    v.check((files) => files.every(({ path }, i) => i === 0 || (files[i - 1]?.path ?? '') < path), 'sorted'),
    v.check((files) => [INDEX_FILE, WORKER_FILE].every((path) => files.some((file) => file.path === path))),
  ),
});
export type Release = v.InferOutput<typeof ReleaseSchema>;

/** A release with its one text, by the hash of which it is known. */
export interface ReleaseText {
  readonly release: Release;
  readonly text: string;
  readonly sha256: string;
}

/** Reads `release.json`. Anything but the canonical text of a release is refused. */
export function readRelease(text: string): Result<ReleaseText, 'malformed_release'> {
  const release = parseJson(text, ReleaseSchema);
  if (release === undefined || textOfRelease(release) !== text) return fail(malformed);
  return ok({ release, text, sha256: sha256Hex(text) });
}

export const textOfRelease = (release: Release): string => canonicalText(release);

export const fileOf = (release: Release, path: string): SiteFile | undefined =>
  release.files.find((file) => file.path === path);

/** Paths that are not the same in both, those of `before` first. */
export function changedPaths(before: Release, after: Release): string[] {
  const paths = new Set([...before.files, ...after.files].map((file) => file.path));
  return [...paths].filter((path) => fileOf(before, path)?.sha256 !== fileOf(after, path)?.sha256);
}

/** The address of a file on its server: the page itself stands at the root. */
export const addressOf = (path: string): string => (path === INDEX_FILE ? '/' : `/${path}`);

/** JSON that fits a schema; undefined when it is no JSON, or other JSON. */
export function parseJson<S extends v.GenericSchema>(text: string, schema: S): v.InferOutput<S> | undefined {
  try {
    const parsed = v.safeParse(schema, JSON.parse(text));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}

const malformed: Failure<'malformed_release'> = {
  code: 'malformed_release',
  message: 'The list of files that the server publishes for this site cannot be read.',
  remedy: 'Tell whoever runs this site.',
};
