/** What the private tier remembers in this browser, in IndexedDB: heads of directories, and which policy its owner chose. */
import { isSameHead, type HeadStore } from '@tussah/client/private/heads';
import { DirectoryHeadSchema, type DirectoryHead } from '@tussah/protocol/private/directory';
import * as v from 'valibot';

const NAME = 'tussah-private';
const stores = { heads: 'heads', settings: 'settings' } as const;

/** Settings by name; undefined where there is none, or where the browser keeps nothing. */
export interface SettingStore {
  get(name: string): Promise<string | undefined>;
  set(name: string, value: string | undefined): Promise<void>;
}

export class PrivateStore implements HeadStore, SettingStore {
  #database: Promise<IDBDatabase> | undefined;

  /** Rejects where the browser keeps nothing, or what it kept is no head: a rollback would go unseen. */
  async load(coordinator: string): Promise<DirectoryHead | undefined> {
    const kept = await this.#run(stores.heads, 'readonly', (store) => store.get(coordinator));
    return kept === undefined ? undefined : v.parse(DirectoryHeadSchema, kept);
  }

  /** Another tab may have kept another one in the meantime; then that stays. */
  async save(
    coordinator: string,
    head: DirectoryHead,
    replaced: DirectoryHead | undefined,
  ): Promise<boolean> {
    let saved = false;
    await this.#transact(stores.heads, (store) => {
      const reading = store.get(coordinator);
      reading.addEventListener('success', () => {
        const kept = reading.result as DirectoryHead | undefined;
        saved = isSameHead(kept, replaced);
        if (saved) store.put(head, coordinator);
      });
    });
    return saved;
  }

  /** The next head that is seen is taken for the first: for a person to decide. */
  forget(coordinator: string): Promise<void> {
    return this.#transact(stores.heads, (store) => void store.delete(coordinator));
  }

  async get(name: string): Promise<string | undefined> {
    const kept = await this.#run(stores.settings, 'readonly', (store) => store.get(name));
    return typeof kept === 'string' ? kept : undefined;
  }

  set(name: string, value: string | undefined): Promise<void> {
    return this.#transact(stores.settings, (store) => {
      if (value === undefined) store.delete(name);
      else store.put(value, name);
    });
  }

  async #run(
    name: string,
    mode: IDBTransactionMode,
    work: (store: IDBObjectStore) => IDBRequest<unknown>,
  ): Promise<unknown> {
    const database = await this.#open();
    return settled(work(database.transaction(name, mode).objectStore(name)));
  }

  /** Resolves when it is on the disk. */
  async #transact(name: string, work: (store: IDBObjectStore) => void): Promise<void> {
    const transaction = (await this.#open()).transaction(name, 'readwrite');
    const done = new Promise<void>((resolve, reject) => {
      transaction.addEventListener('complete', () => resolve());
      transaction.addEventListener('abort', () =>
        reject(transaction.error ?? new Error('the transaction was aborted')),
      );
    });
    work(transaction.objectStore(name));
    return done;
  }

  #open(): Promise<IDBDatabase> {
    this.#database ??= openDatabase().catch((error: unknown) => {
      this.#database = undefined;
      throw error;
    });
    return this.#database;
  }
}

function openDatabase(): Promise<IDBDatabase> {
  const request = indexedDB.open(NAME, 1);
  request.addEventListener('upgradeneeded', () => {
    for (const name of Object.values(stores)) request.result.createObjectStore(name);
  });
  return settled(request);
}

const settled = <Value>(request: IDBRequest<Value>): Promise<Value> =>
  new Promise((resolve, reject) => {
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', () => reject(request.error ?? new Error('the database failed')));
  });
