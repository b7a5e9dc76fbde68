/** Heads in a JSON file, for Node. A file that can't be understood is refused: forgetting it is for its owner to decide. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { DirectoryHeadSchema, type DirectoryHead } from '@tussah/protocol/private/directory';
import * as v from 'valibot';
import type { HeadStore } from './heads.ts';

const FileSchema = v.strictObject({
  version: v.literal(1),
  heads: v.record(v.string(), DirectoryHeadSchema),
});
type HeadsFile = v.InferOutput<typeof FileSchema>;

export class FileHeads implements HeadStore {
  readonly #path: string;
  /** One change after another: each reads what the one before has written. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(path: string) {
    this.#path = path;
  }

  async load(coordinator: string): Promise<DirectoryHead | undefined> {
    const { heads } = await this.#read();
    return Object.hasOwn(heads, coordinator) ? heads[coordinator] : undefined;
  }

  save(coordinator: string, head: DirectoryHead): Promise<void> {
    const saved = this.#saveAfter(this.#last, coordinator, head);
    this.#last = saved.catch(() => undefined);
    return saved;
  }

  async #saveAfter(before: Promise<unknown>, coordinator: string, head: DirectoryHead): Promise<void> {
    await before;
    const { heads } = await this.#read();
    await this.#write({ version: 1, heads: { ...heads, [coordinator]: head } });
  }

  async #read(): Promise<HeadsFile> {
    let text: string;
    try {
      text = await readFile(this.#path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { version: 1, heads: {} };
      throw error;
    }
    return v.parse(FileSchema, JSON.parse(text));
  }

  /** Whoever reads meanwhile, or after a crash, finds the old file or the new one. */
  async #write(file: HeadsFile): Promise<void> {
    const temporary = `${this.#path}.${randomUUID()}`;
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o700 });
    try {
      await using handle = await open(temporary, 'wx', 0o600);
      await handle.writeFile(`${JSON.stringify(file, null, 2)}\n`);
      await handle.sync();
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
    await rename(temporary, this.#path);
  }
}
