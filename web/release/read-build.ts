/** The files of a built site, as a release lists them. */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, sep } from 'node:path';
import { RELEASE_FILE, SIGNATURE_FILE, type SiteFile } from '@tussah/protocol/site/release';

const unlisted = new Set<string>([RELEASE_FILE, SIGNATURE_FILE]);

/** Every file below `folder` but the list itself and its signature, by path. */
export function readBuild(folder: string): SiteFile[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(join(folder, sep).length).split(sep).join('/'))
    .filter((path) => !unlisted.has(path))
    .sort()
    .map((path) => fileAt(folder, path));
}

function fileAt(folder: string, path: string): SiteFile {
  const bytes = readFileSync(join(folder, path));
  return { path, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}
