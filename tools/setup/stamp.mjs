/** Tells whether something was made from the present state of its sources: a hash over paths and contents. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** SHA-256 over the files named, in the order given; a missing one counts as such. */
export function hashOfFiles(root, files) {
  const hash = createHash('sha256');
  for (const file of files) {
    const path = join(root, file);
    const content = existsSync(path) ? readFileSync(path) : undefined;
    // The length goes first, so that the end of one file and the start of the next can't be confused.
    hash.update(`${file}\0${content === undefined ? 'missing' : content.length}\0`);
    if (content !== undefined) hash.update(content);
  }
  return hash.digest('hex');
}

/** Files below `paths` in a stable order, with `/` between folders; `keep` decides on folders and files by path. */
export function filesBelow(root, paths, keep) {
  const found = [];
  const walk = (path) => {
    const absolute = join(root, path);
    if (!existsSync(absolute) || !keep(path)) return;
    if (!statSync(absolute).isDirectory()) found.push(path);
    else for (const entry of readdirSync(absolute)) walk(path === '.' ? entry : `${path}/${entry}`);
  };
  for (const path of paths) walk(path);
  return found.sort((a, b) => (a < b ? -1 : 1));
}
