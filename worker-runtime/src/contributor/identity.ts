/**
 * The contributor's identity: an Ed25519 key pair that cannot be exported, kept in IndexedDB, and a lease that lets only one
 * tab of a browser contribute with it.
 */
import { fail, ok, type Result } from '@tussah/protocol/errors';
import { type Identity, newIdentity } from '@tussah/protocol/signatures';
import type { IdentityStore, Leadership, Lease } from './ports.ts';

export type IdentityFailureCode = 'insecure_context' | 'storage_unavailable' | 'ed25519_missing';

const insecure = () =>
  fail<IdentityFailureCode>({
    code: 'insecure_context',
    message: 'This page was not loaded over a secure connection, so the browser offers no keys.',
    remedy: 'Open the site over https, or as localhost.',
  });

/** Keeps the key under the page's origin. Two tabs that start together end up with the same key. */
export function indexedDbIdentities(database = 'tussah-identity'): IdentityStore {
  return {
    async load(): Promise<Result<Identity, IdentityFailureCode>> {
      if (globalThis.crypto?.subtle === undefined) return insecure();
      let db: IDBDatabase | undefined;
      try {
        db = await openDatabase(database);
        const kept = await keep(db, undefined);
        if (kept !== undefined) return ok(kept);
        const made = await makeIdentity();
        if (!made.ok) return made;
        return ok((await keep(db, made.value)) ?? made.value);
      } catch (error) {
        return fail({
          code: 'storage_unavailable',
          message: `The browser would not keep the contributor’s key (${error instanceof Error ? error.name : 'unknown'}).`,
          remedy: 'Leave private browsing, allow this site to store data, or free some disk space.',
        });
      } finally {
        db?.close();
      }
    },
  };
}

/** A key that lives as long as this object. */
export function memoryIdentities(): IdentityStore {
  let identity: Promise<Result<Identity, IdentityFailureCode>> | undefined;
  return {
    load() {
      identity ??= globalThis.crypto?.subtle === undefined ? Promise.resolve(insecure()) : makeIdentity();
      return identity;
    },
  };
}

async function makeIdentity(): Promise<Result<Identity, IdentityFailureCode>> {
  try {
    return ok(await newIdentity());
  } catch {
    return fail({
      code: 'ed25519_missing',
      message: 'This browser can’t make Ed25519 keys.',
      remedy: 'Update the browser: Chrome 137, Firefox 129 and Safari 17 or newer can.',
    });
  }
}

const STORE = 'identities';
const KEY = 'contributor';

function openDatabase(name: string): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(name, 1);
    const refuse = () => reject(request.error ?? new Error('IndexedDB is blocked'));
    request.addEventListener('upgradeneeded', () => void request.result.createObjectStore(STORE));
    request.addEventListener('success', () => resolve(request.result));
    request.addEventListener('error', refuse);
    request.addEventListener('blocked', refuse);
  });
}

/** What is kept; when nothing is, keeps `identity`. One transaction, so that the first of two tabs wins. */
function keep(db: IDBDatabase, identity: Identity | undefined): Promise<Identity | undefined> {
  return new Promise((resolve, reject) => {
    const transaction = db.transaction(STORE, identity === undefined ? 'readonly' : 'readwrite', {
      durability: 'strict',
    });
    const store = transaction.objectStore(STORE);
    const request = store.get(KEY);
    let kept: Identity | undefined;
    request.addEventListener('success', () => {
      kept = readIdentity(request.result);
      if (kept === undefined && identity !== undefined) store.put(identity, KEY);
    });
    const refuse = () => reject(transaction.error ?? new Error('IndexedDB'));
    transaction.addEventListener('complete', () => resolve(kept));
    transaction.addEventListener('abort', refuse);
    transaction.addEventListener('error', refuse);
  });
}

function readIdentity(value: unknown): Identity | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { publicKey, privateKey } = value as Partial<Record<keyof Identity, unknown>>;
  if (typeof publicKey !== 'string' || !(privateKey instanceof CryptoKey)) return undefined;
  return { publicKey, privateKey };
}

/** The name that tabs compete for: one contributor a key. */
export const leaseName = (publicKey: string): string => `tussah-contributor-${publicKey}`;

/** Leadership among the tabs of one browser through the Web Locks API. */
export function webLockLeadership(locks: LockManager | undefined = globalThis.navigator?.locks): Leadership {
  return {
    acquire(name) {
      // Without Web Locks there is no way to know of other tabs; the coordinator replaces the older session then.
      if (locks === undefined) return Promise.resolve({ release() {} });
      return new Promise((resolve, reject) => {
        const hold = (lock: Lock | null): Promise<void> | undefined => {
          if (lock === null) {
            resolve(null);
            return undefined;
          }
          return new Promise((end) => resolve({ release: () => end() }));
        };
        locks.request(name, { ifAvailable: true }, hold).catch(reject);
      });
    },
  };
}

/** Leadership within one process; contributors made with the same object compete. */
export function memoryLeadership(): Leadership {
  const held = new Set<string>();
  return {
    acquire(name): Promise<Lease | null> {
      if (held.has(name)) return Promise.resolve(null);
      held.add(name);
      return Promise.resolve({ release: () => void held.delete(name) });
    },
  };
}
