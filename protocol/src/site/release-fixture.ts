/** Releases for tests. */
import type { Release } from './release.ts';

/** A sound release, with `members` in place of its own. */
export const release = (
  members: Partial<Release> = {},
  paths: readonly string[] = ['index.html', 'service-worker.js'],
): Release => ({
  format: 'tussah-release/1',
  version: '1.0.0',
  inputs: { node: '24.0.0', lockSha256: 'c'.repeat(64) },
  keys: [],
  files: paths.map((path) => ({ path, size: 1, sha256: 'a'.repeat(64) })),
  ...members,
});
