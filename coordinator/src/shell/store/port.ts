/** What the coordinator keeps on disk. Every implementation passes contract.ts. */
import type { Nano } from '@tussah/protocol/money';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import type { Receipt } from '@tussah/protocol/receipts';
import type { Transaction } from '../../core/ledger.ts';
import type { JobCheckpoint } from '../../core/state.ts';

export interface AccountRecord {
  readonly id: string;
  readonly name: string;
  /** Share of the capacity beside other accounts when there is not enough; a whole number from 1. */
  readonly weight: number;
  readonly createdAtMs: number;
}

export interface ApiKeyRecord {
  readonly id: string;
  /** SHA-256 of the key in hexadecimal; the key itself is never stored. */
  readonly hash: string;
  readonly accountId: string;
  readonly createdAtMs: number;
  readonly revokedAtMs: number | null;
}

/** What is remembered of a contributor between sessions. */
export interface ContributorRecord {
  readonly publicKey: string;
  readonly wallet: string | null;
  readonly jobsDone: number;
  readonly jobsFailed: number;
  readonly tokens: number;
  /** Smoothed, of jobs really served; null before the first. */
  readonly tokensPerSecond: number | null;
}

export interface IdempotencyRecord {
  readonly accountId: string;
  readonly key: string;
  /** SHA-256 of the canonical request. */
  readonly requestHash: string;
  readonly jobId: string;
  readonly receiptId: string;
  readonly atMs: number;
}

/** Of a job of either tier. */
export type StoredReceipt = Receipt | PrivateReceipt;

/** One job's end: written whole or not at all. */
export interface Settlement {
  readonly receipt: StoredReceipt;
  /** Null when nothing was charged. */
  readonly transaction: Transaction | null;
  readonly contributors: readonly ContributorRecord[];
  readonly idempotency: IdempotencyRecord | null;
}

export type StoreWrite =
  /** Removes the job's checkpoint. */
  | { readonly kind: 'settlement'; readonly settlement: Settlement }
  /** Replaces the job's last one; changes nothing once the job is settled. */
  | { readonly kind: 'checkpoint'; readonly checkpoint: JobCheckpoint }
  | { readonly kind: 'forget-checkpoint'; readonly jobId: string }
  /** Appends to the directory of nodes; `index` is the number of entries before it. */
  | { readonly kind: 'directory-entry'; readonly index: number; readonly entry: string }
  /** Money that enters or leaves; a job's transaction comes with its receipt, in a settlement. */
  | { readonly kind: 'transaction'; readonly transaction: Transaction }
  | { readonly kind: 'account'; readonly account: AccountRecord }
  | { readonly kind: 'api-key'; readonly apiKey: ApiKeyRecord }
  /** Revoking a revoked key changes nothing. */
  | { readonly kind: 'revoke-key'; readonly keyId: string; readonly atMs: number };

/** What was written down of jobs that have not ended. */
export interface Journal {
  readonly checkpoints: readonly JobCheckpoint[];
  /** Jobs whose rows are damaged; they stay where they are. */
  readonly unreadable: readonly string[];
}

export interface Totals {
  /** Receipts of whole answers. */
  readonly answered: number;
  /** Charged, of all receipts. */
  readonly completionTokens: number;
}

/** `known`: the same was written before, and nothing changed. */
export type WriteOutcome = 'written' | 'known';

export interface Store {
  /**
   * Makes a write durable; resolves once it would survive a power cut. Writes that arrive together share one commit, in
   * the order given. A settlement, transaction, account, key or entry written before with the same content changes nothing (the
   * times of the first stand); with other content it rejects, and so does an unbalanced or overdrawing one, without harm
   * to the others of its group. Rejects with a `StoreError` and nothing else.
   */
  write(write: StoreWrite): Promise<WriteOutcome>;
  /** Of every ledger account that was ever touched. */
  balances(): Promise<Map<string, Nano>>;
  accounts(): Promise<AccountRecord[]>;
  apiKeys(): Promise<ApiKeyRecord[]>;
  contributor(publicKey: string): Promise<ContributorRecord | undefined>;
  receipt(id: string): Promise<StoredReceipt | undefined>;
  receiptOfJob(jobId: string): Promise<StoredReceipt | undefined>;
  /** Entries `from` to `to` - 1 of the directory, as they were written; as many of them as there are. */
  directoryEntries(from: number, to: number): Promise<string[]>;
  checkpoints(): Promise<Journal>;
  idempotency(accountId: string, key: string): Promise<IdempotencyRecord | undefined>;
  totals(): Promise<Totals>;
  /** Finishes the writes under way; what comes later rejects with `closed`. */
  close(): Promise<void>;
}
