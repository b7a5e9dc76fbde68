/** The engines are the packages of the lock file, unchanged. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
const lockOf = (path: string) =>
  (
    JSON.parse(readFileSync(join(root, path), 'utf8')) as {
      packages: Record<string, { version: string; integrity: string }>;
    }
  ).packages;

test.each([
  ['@mlc-ai/web-llm', 'lib/index.js', 'ae2642e73a4a9896c21efb3a067c4666446f8b49cbe2012f4b576f5d83d5f206'],
  ['@wllama/wllama', 'esm/index.js', 'e5506753e41a59c11f61f2c52422045be9fc76e32a7e47f037aaad5df4ec723e'],
])('%s is what the lock file says, and its code has the hash it was published with', (name, main, hash) => {
  const key = `node_modules/${name}`;
  const locked = lockOf('package-lock.json')[key];
  const installed = lockOf('node_modules/.package-lock.json')[key];
  expect(locked?.integrity).toMatch(/^sha512-/);
  expect(installed).toMatchObject({ version: locked?.version, integrity: locked?.integrity });
  expect(
    createHash('sha256')
      .update(readFileSync(join(root, key, main)))
      .digest('hex'),
  ).toBe(hash);
});
