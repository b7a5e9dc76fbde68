/**
 * The digest of a model's files, which the evidence states and policies name: SHA-256 over "tussah-model/1\n" and the
 * canonical JSON of `[{ path, sha256 }, ...]`, sorted by path. Of a folder all files count but hidden ones: tokenizer and
 * template decide answers as well.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { sha256Hex } from '@tussah/protocol/bytes';
import { signedBytes } from '@tussah/protocol/canonical';
import { fail, ok, type Result } from '@tussah/protocol/errors';

const FILES_MAX = 4_096;

/** `path` is one file, or a folder. */
export async function modelDigest(path: string): Promise<Result<string, 'weights_unreadable'>> {
  try {
    const files = await filesAt(path);
    if (files.length === 0 || files.length > FILES_MAX) return unreadable(path, `${files.length} files`);
    const hashed = [];
    for (const name of files.sort(byUnits)) {
      const file = name === '' ? path : join(path, name);
      hashed.push({ path: name === '' ? basename(path) : name, sha256: await hashOf(file) });
    }
    return ok(sha256Hex(signedBytes('tussah-model/1', hashed)));
  } catch (error) {
    return unreadable(path, error instanceof Error && 'code' in error ? String(error.code) : 'unknown');
  }
}

const byUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Names from `path`, with slashes; the empty name for a file itself. */
async function filesAt(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [''];
  const names: string[] = [];
  for (const entry of await readdir(path, { withFileTypes: true })) {
    if (entry.name.startsWith('.')) continue;
    const inside = await filesAt(join(path, entry.name));
    names.push(...inside.map((name) => (name === '' ? entry.name : `${entry.name}/${name}`)));
  }
  return names;
}

async function hashOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1_048_576 }), hash);
  return hash.digest('hex');
}

const unreadable = (path: string, why: string): Result<never, 'weights_unreadable'> =>
  fail({
    code: 'weights_unreadable',
    message: `The model’s files at ${path} can’t be hashed (${why}).`,
    remedy: 'Give --weights the file or the folder that the upstream loads.',
  });
