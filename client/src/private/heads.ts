/** What a client remembers of a coordinator's directory: its newest head, so that no other history can be shown to it later. */
import type { DirectoryHead } from '@tussah/protocol/private/directory';

/** `coordinator` is the address under which it is known here. Both may reject, which fails the chat. */
export interface HeadStore {
  load(coordinator: string): Promise<DirectoryHead | undefined>;
  /**
   * Keeps `head` in the place of `replaced`, for good when it resolves. False, and nothing is kept, where another one is kept by now:
   * several clients share a store, in processes and tabs, and none may overwrite what it has not compared.
   */
  save(coordinator: string, head: DirectoryHead, replaced: DirectoryHead | undefined): Promise<boolean>;
}

/** By the signature, which is over all of it. */
export const isSameHead = (one: DirectoryHead | undefined, other: DirectoryHead | undefined): boolean =>
  one?.signature === other?.signature;

/** Forgets with the process: a rollback between two runs goes unseen. */
export class MemoryHeads implements HeadStore {
  readonly #heads = new Map<string, DirectoryHead>();

  async load(coordinator: string): Promise<DirectoryHead | undefined> {
    return this.#heads.get(coordinator);
  }

  async save(
    coordinator: string,
    head: DirectoryHead,
    replaced: DirectoryHead | undefined,
  ): Promise<boolean> {
    if (!isSameHead(this.#heads.get(coordinator), replaced)) return false;
    this.#heads.set(coordinator, head);
    return true;
  }
}
