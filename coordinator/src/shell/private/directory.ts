/**
 * The directory of nodes (docs/private-tier.md): an append-only log in the store, the Merkle tree over it in memory, and the
 * texts of the bundles that are listed. Nothing is shown before it is durable.
 */
import { domains } from '@tussah/protocol/signatures';
import {
  DirectoryEntrySchema,
  type DirectoryEntry,
  type DirectoryHead,
  type ProvenEntry,
} from '@tussah/protocol/private/directory';
import { entryText } from '@tussah/protocol/private/directory-heads';
import { MerkleLog } from '@tussah/protocol/private/merkle';
import * as v from 'valibot';
import { DEPARTED_MS } from '../../core/private/epochs.ts';
import type { PlacedEntry } from '../../core/private/events.ts';
import type { Departed } from '../../core/private/state.ts';
import type { Signer } from '../signer.ts';
import type { Store } from '../store/port.ts';
import { StoreError } from '../store/store-error.ts';

/** Entries read at once at the start. */
const PAGE = 1_000;
/** A head is signed anew after this, however little happens; clients refuse one of five minutes. */
const HEAD_MS = 10_000;
/** After a write that failed: what nodes do must be logged, so it is tried until it is. */
const RETRY_MS = 500;
/** Of all bundles that are listed, in UTF-16 units. */
const BUNDLES_SIZE_MAX = 256 * 1024 * 1024;

export interface Recovered {
  /** Bundles that were listed when the coordinator stopped. */
  readonly listed: readonly string[];
  readonly departed: readonly Departed[];
}

export interface DirectoryPorts {
  readonly store: Store;
  readonly signer: Signer;
  readonly now: () => number;
  readonly onAppended: (placed: PlacedEntry) => void;
  readonly onError: (error: unknown) => void;
}

export class Directory {
  readonly #ports: DirectoryPorts;
  readonly #tree = new MerkleLog();
  readonly #bundles = new Map<string, string>();
  #bundlesSize = 0;
  #head: DirectoryHead | undefined;
  readonly #pending: DirectoryEntry[] = [];
  #writing = false;
  #closed = false;

  private constructor(ports: DirectoryPorts) {
    this.#ports = ports;
  }

  /** Reads the log back. Throws a `StoreError` where it is damaged. */
  static async open(ports: DirectoryPorts): Promise<{ directory: Directory; recovered: Recovered }> {
    const directory = new Directory(ports);
    const tree = directory.#tree;
    const listed = new Set<string>();
    const departed: Departed[] = [];
    const sinceMs = ports.now() - DEPARTED_MS;
    for (;;) {
      const page = await ports.store.directoryEntries(tree.size, tree.size + PAGE);
      for (const text of page) {
        const entry = entryOf(text);
        const index = tree.append(text);
        if (entry.kind === 'joined') listed.add(entry.bundle);
        else {
          listed.delete(entry.bundle);
          if (entry.atMs >= sinceMs) departed.push({ index, entry });
        }
      }
      if (page.length < PAGE) break;
    }
    return { directory, recovered: { listed: [...listed], departed } };
  }

  get size(): number {
    return this.#tree.size;
  }

  /** Whether there is room for another bundle. */
  hasRoomFor(text: string): boolean {
    return this.#bundlesSize + text.length <= BUNDLES_SIZE_MAX;
  }

  /** `text` is the bundle that joins; it is kept until it leaves. */
  append(entry: DirectoryEntry, text?: string): void {
    if (entry.kind === 'joined' && text !== undefined) {
      this.#bundles.set(entry.bundle, text);
      this.#bundlesSize += text.length;
    }
    this.#pending.push(entry);
    if (!this.#writing) void this.#write();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    for (let entry = this.#pending[0]; entry !== undefined && !this.#closed; entry = this.#pending[0]) {
      if (!(await this.#writeOne(entry))) continue;
      this.#pending.shift();
    }
    this.#writing = false;
  }

  /** Whether it is durable. */
  async #writeOne(entry: DirectoryEntry): Promise<boolean> {
    const index = this.#tree.size;
    const text = entryText(entry);
    try {
      await this.#ports.store.write({ kind: 'directory-entry', index, entry: text });
    } catch (error) {
      if (this.#closed) return false;
      this.#ports.onError(error);
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS).unref());
      return false;
    }
    this.#tree.append(text);
    if (entry.kind === 'left') this.#forget(entry.bundle);
    this.#ports.onAppended({ index, entry });
    return true;
  }

  #forget(bundle: string): void {
    this.#bundlesSize -= this.#bundles.get(bundle)?.length ?? 0;
    this.#bundles.delete(bundle);
  }

  /** Signed, of all that is durable. */
  head(): DirectoryHead {
    const { signer, now } = this.#ports;
    // Never older than the one before it: clients would refuse it.
    const atMs = Math.max(now(), this.#head?.atMs ?? 0);
    if (this.#head !== undefined && this.#head.size === this.#tree.size && atMs < this.#head.atMs + HEAD_MS)
      return this.#head;
    const { size } = this.#tree;
    const statement = { coordinator: signer.publicKey, size, rootHash: this.#tree.rootHash(), atMs };
    this.#head = { ...statement, signature: signer.sign(domains.directory, statement) };
    return this.#head;
  }

  /** Of a durable entry, for a head of this size. */
  prove({ index, entry }: PlacedEntry, size: number): ProvenEntry {
    return { index, entry, proof: this.#tree.inclusionProof(index, size) };
  }

  /** Between two sizes in order, at most the present one. */
  consistency(from: number, to: number): string[] {
    return this.#tree.consistencyProof(from, to);
  }

  /** Entries `from` to `to` - 1, which are durable. */
  async entries(from: number, to: number): Promise<DirectoryEntry[]> {
    return (await this.#ports.store.directoryEntries(from, to)).map(entryOf);
  }

  /** The text of a bundle that is listed. */
  bundle(name: string): string | undefined {
    return this.#bundles.get(name);
  }

  close(): void {
    this.#closed = true;
  }
}

function entryOf(text: string): DirectoryEntry {
  const parsed = v.safeParse(DirectoryEntrySchema, JSON.parse(text));
  // Written in any other form it would have another hash than the one that was signed.
  if (parsed.success && entryText(parsed.output) === text) return parsed.output;
  throw new StoreError('unusable', 'an entry of the directory is damaged', {
    remedy: 'Restore the database from a backup; `npm run verify -- books` names the entry.',
  });
}
