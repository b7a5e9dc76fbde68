/** Real evidence for tests lies beside the checkout, not in it: read here, in Node, for tests in Node and in browsers. */
import { existsSync, readFileSync } from 'node:fs';
import { join, normalize, resolve } from 'node:path';

const folder = resolve(import.meta.dirname, '../../../../shared/vectors');

/** A file in base64; null without the folder, unless that is demanded. */
export function readVector(path: string): string | null {
  if (!existsSync(folder)) {
    if (process.env['TUSSAH_REQUIRE_VECTORS'] === '1') throw new Error(`there are no vectors in ${folder}`);
    return null;
  }
  const file = join(folder, normalize(`/${path}`));
  return readFileSync(file).toString('base64');
}

/** For vitest's browser project: `commands.vector(path)`. */
export const vectorCommand = (_: unknown, path: string): string | null => readVector(path);
