/**
 * Heads in a JSON file, for Node; any number of processes may share it. A file that can't be understood is refused: forgetting it is for
 * its owner to decide. One that was deleted can't be told from one that never was: what comes next is then believed.
 */
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DirectoryHeadSchema, type DirectoryHead } from '@tussah/protocol/private/directory';
import * as v from 'valibot';
import { isSameHead, type HeadStore } from './heads.ts';

const FileSchema = v.strictObject({
  version: v.literal(1),
  heads: v.record(v.string(), DirectoryHeadSchema),
});
type HeadsFile = v.InferOutput<typeof FileSchema>;

/** A change takes milliseconds: a lock that is older was left by a process that died. */
const LOCK_STALE_MS = 5_000;
const LOCK_PATIENCE_MS = 10_000;
const LOCK_RETRY_MS = 10;

export class FileHeads implements HeadStore {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  async load(coordinator: string): Promise<DirectoryHead | undefined> {
    return headIn(await this.#read(), coordinator);
  }

  async save(
    coordinator: string,
    head: DirectoryHead,
    replaced: DirectoryHead | undefined,
  ): Promise<boolean> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    const lock = `${this.#path}.lock`;
    await takeLock(lock);
    try {
      const file = await this.#read();
      if (!isSameHead(headIn(file, coordinator), replaced)) return false;
      await this.#write({ version: 1, heads: { ...file.heads, [coordinator]: head } });
      return true;
    } finally {
      await rm(lock, { force: true });
    }
  }

  async #read(): Promise<HeadsFile> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if (isError(error, 'ENOENT')) return { version: 1, heads: {} };
      throw error;
    }
    return v.parse(FileSchema, JSON.parse(text));
  }

  /** Whoever reads meanwhile, or after a crash, finds the old file or the new one. */
  async #write(file: HeadsFile): Promise<void> {
    const temporary = `${this.#path}.new`;
    {
      await using handle = await open(temporary, 'w', 0o600);
      await handle.writeFile(`${JSON.stringify(file, null, 2)}\n`);
      await handle.sync();
    }
    await rename(temporary, this.#path);
    // Windows opens no folders.
    if (process.platform === 'win32') return;
    await using folder = await open(dirname(this.#path));
    await folder.sync();
  }
}

const headIn = ({ heads }: HeadsFile, coordinator: string): DirectoryHead | undefined =>
  Object.hasOwn(heads, coordinator) ? heads[coordinator] : undefined;

/** Rejects when somebody else has it for too long. */
async function takeLock(path: string): Promise<void> {
  const endMs = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      const handle = await open(path, 'wx', 0o600);
      return await handle.close();
    } catch (error) {
      if (!isError(error, 'EEXIST') || performance.now() > endMs) throw error;
    }
    if (Date.now() - (await changedMs(path)) > LOCK_STALE_MS) await rm(path, { force: true });
    else await sleep(LOCK_RETRY_MS);
  }
}

/** Now, where the file has gone. */
async function changedMs(path: string): Promise<number> {
  try {
    return (await stat(path)).mtimeMs;
  } catch (error) {
    if (isError(error, 'ENOENT')) return Date.now();
    throw error;
  }
}

const isError = (error: unknown, code: string): boolean =>
  error instanceof Error && (error as NodeJS.ErrnoException).code === code;
