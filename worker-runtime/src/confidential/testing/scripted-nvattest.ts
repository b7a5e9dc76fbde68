/**
 * Writes an executable that stands in for `nvattest`: it has the arguments of the real one, and prints what the real one
 * prints. Its evidence comes out of a file with the answer for each nonce, or is wrong in a way that the test wants.
 */
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** `body` is JavaScript with `args`, `nonce` and `print(value)`. */
export function scriptedNvattest(folder: string, body: string): string {
  const path = join(folder, 'nvattest');
  const script = `#!${process.execPath}
const args = process.argv.slice(2);
const nonce = args[args.indexOf('--nonce') + 1];
const print = (value) => process.stdout.write(typeof value === 'string' ? value : JSON.stringify(value));
${body}
`;
  writeFileSync(path, script);
  chmodSync(path, 0o755);
  return path;
}
