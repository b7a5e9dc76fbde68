/** What the proxy keeps in its folder: its token, which only its owner may read, and the directory's heads. */
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FileHeads } from '../private/file-heads.ts';

export interface ProxyState {
  readonly token: string;
  readonly tokenPath: string;
  readonly heads: FileHeads;
}

const TOKEN = /^tussah-[0-9a-f]{64}$/;

/** Makes the folder and the token where there are none. Throws what the file system says, or that the folder is not only ours. */
export function openState(folder: string): ProxyState {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  demandOwn(folder);
  const tokenPath = join(folder, 'token');
  const token = readToken(tokenPath) ?? newToken(tokenPath);
  return { token, tokenPath, heads: new FileHeads(join(folder, 'heads.json')) };
}

/** Whoever else can write there could put heads and a token of his own in place of ours. Windows has no such modes. */
function demandOwn(folder: string): void {
  if (process.platform === 'win32') return;
  const { uid, mode } = statSync(folder);
  if (uid === process.getuid?.() && (mode & 0o022) === 0) return;
  throw Object.assign(new Error('others can write to the folder'), {
    syscall: 'owning --state',
    code: 'EPERM',
  });
}

/** One that others could have read is no secret any more. Windows has no such modes. */
function readToken(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined || (process.platform !== 'win32' && (stat.mode & 0o077) !== 0)) return undefined;
  const token = readFileSync(path, 'utf8').trim();
  return TOKEN.test(token) ? token : undefined;
}

function newToken(path: string): string {
  const token = `tussah-${randomBytes(32).toString('hex')}`;
  const temporary = `${path}.${randomBytes(8).toString('hex')}`;
  writeFileSync(temporary, `${token}\n`, { mode: 0o600, flag: 'wx' });
  renameSync(temporary, path);
  return token;
}
