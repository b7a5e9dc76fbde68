/** What a client remembers of a coordinator's directory: its newest head, so that no other history can be shown to it later. */
import type { DirectoryHead } from '@tussah/protocol/private/directory';

/** `coordinator` is the address under which it is known here. Both may reject, which fails the chat. */
export interface HeadStore {
  load(coordinator: string): Promise<DirectoryHead | undefined>;
  save(coordinator: string, head: DirectoryHead): Promise<void>;
}

/** Forgets with the process: a rollback between two runs goes unseen. */
export class MemoryHeads implements HeadStore {
  readonly #heads = new Map<string, DirectoryHead>();

  async load(coordinator: string): Promise<DirectoryHead | undefined> {
    return this.#heads.get(coordinator);
  }

  async save(coordinator: string, head: DirectoryHead): Promise<void> {
    this.#heads.set(coordinator, head);
  }
}
