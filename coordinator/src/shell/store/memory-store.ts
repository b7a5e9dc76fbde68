/** A store in memory for tests and simulations: the rules of the port, without the disk. */
import type { Nano } from '@tussah/protocol/money';
import type { Transaction } from '../../core/ledger.ts';
import type { JobCheckpoint } from '../../core/state.ts';
import type {
  AccountRecord,
  ApiKeyRecord,
  ContributorRecord,
  IdempotencyRecord,
  Journal,
  Settlement,
  Store,
  StoredReceipt,
  StoreWrite,
  WriteOutcome,
} from './port.ts';
import { StoreError } from './store-error.ts';
import {
  balancesAfter,
  checkCredit,
  checkSettlement,
  conflict,
  content,
  jobOf,
  requireSame,
} from './write-rules.ts';

/** Changes of a write that passed all checks; they can't fail any more. Undefined when there are none to make. */
type Changes = (() => void) | undefined;

export class MemoryStore implements Store {
  readonly #balances = new Map<string, Nano>();
  readonly #transactions = new Map<string, Transaction>();
  readonly #receipts = new Map<string, StoredReceipt>();
  readonly #jobs = new Map<string, StoredReceipt>();
  readonly #checkpoints = new Map<string, JobCheckpoint>();
  readonly #contributors = new Map<string, ContributorRecord>();
  readonly #directory: string[] = [];
  readonly #idempotency = new Map<string, IdempotencyRecord>();
  readonly #accounts = new Map<string, AccountRecord>();
  readonly #keys = new Map<string, ApiKeyRecord>();
  readonly #totals = { answered: 0, completionTokens: 0 };
  #closed = false;

  async write(write: StoreWrite): Promise<WriteOutcome> {
    this.#requireOpen();
    try {
      const changes = this.#check(write);
      changes?.();
      return changes === undefined ? 'known' : 'written';
    } catch (error) {
      if (error instanceof StoreError) throw error;
      throw new StoreError('invalid', `${write.kind} refused`, { cause: error });
    }
  }

  #check(write: StoreWrite): Changes {
    switch (write.kind) {
      case 'settlement':
        return this.#settle(write.settlement);
      case 'checkpoint':
        return this.#checkpoint(write.checkpoint);
      case 'forget-checkpoint':
        return this.#checkpoints.has(write.jobId) ? () => this.#checkpoints.delete(write.jobId) : undefined;
      case 'directory-entry':
        return this.#addEntry(write.index, write.entry);
      case 'transaction':
        checkCredit(write.transaction);
        return this.#addTransaction(write.transaction);
      case 'account':
        return this.#addAccount(write.account);
      case 'api-key':
        return this.#addKey(write.apiKey);
      case 'revoke-key':
        return this.#revokeKey(write.keyId, write.atMs);
      default:
        return write satisfies never;
    }
  }

  #settle(settlement: Settlement): Changes {
    checkSettlement(settlement);
    const { receipt, transaction, contributors, idempotency } = settlement;
    const stored = this.#receipts.get(receipt.id);
    if (stored !== undefined) {
      requireSame(`receipt ${receipt.id}`, content.receipt, stored, receipt);
      if (transaction !== null) this.#requireTransaction(transaction);
      if (idempotency !== null) this.#requireIdempotency(idempotency);
      return undefined;
    }
    const { jobId, outcome, completionTokens } = jobOf(receipt);
    if (this.#jobs.has(jobId)) throw conflict(`job ${jobId}`);
    const post = transaction === null ? undefined : this.#addTransaction(transaction);
    if (idempotency !== null && this.#idempotency.has(idempotencyKey(idempotency)))
      this.#requireIdempotency(idempotency);
    return () => {
      post?.();
      this.#receipts.set(receipt.id, structuredClone(receipt));
      this.#jobs.set(jobId, structuredClone(receipt));
      this.#checkpoints.delete(jobId);
      for (const record of contributors) this.#contributors.set(record.publicKey, { ...record });
      if (idempotency !== null) this.#idempotency.set(idempotencyKey(idempotency), { ...idempotency });
      this.#totals.answered += outcome === 'complete' ? 1 : 0;
      this.#totals.completionTokens += completionTokens;
    };
  }

  #addEntry(index: number, entry: string): Changes {
    const stored = this.#directory[index];
    if (stored === undefined && index !== this.#directory.length)
      throw new StoreError('invalid', `entry ${index} is not the next`);
    if (stored === undefined) return () => this.#directory.push(entry);
    requireSame(`entry ${index}`, (text: string) => text, stored, entry);
    return undefined;
  }

  #checkpoint(checkpoint: JobCheckpoint): Changes {
    const { id } = checkpoint.request;
    return this.#jobs.has(id) ? undefined : () => this.#checkpoints.set(id, structuredClone(checkpoint));
  }

  #addTransaction(transaction: Transaction): Changes {
    if (this.#transactions.has(transaction.key)) {
      this.#requireTransaction(transaction);
      return undefined;
    }
    const after = balancesAfter(this.#balances, transaction);
    return () => {
      this.#transactions.set(transaction.key, structuredClone(transaction));
      for (const [account, nano] of after) this.#balances.set(account, nano);
    };
  }

  #requireTransaction(transaction: Transaction): void {
    const stored = this.#transactions.get(transaction.key);
    requireSame(`transaction ${transaction.key}`, content.transaction, stored, transaction);
  }

  #requireIdempotency(record: IdempotencyRecord): void {
    const stored = this.#idempotency.get(idempotencyKey(record));
    requireSame(`idempotency key of ${record.accountId}`, content.idempotency, stored, record);
  }

  #addAccount(account: AccountRecord): Changes {
    const stored = this.#accounts.get(account.id);
    if (stored !== undefined) {
      requireSame(`account ${account.id}`, content.account, stored, account);
      return undefined;
    }
    if (!Number.isInteger(account.weight) || account.weight < 1)
      throw new StoreError('invalid', `account ${account.id} has weight ${account.weight}`);
    return () => this.#accounts.set(account.id, { ...account });
  }

  #addKey(apiKey: ApiKeyRecord): Changes {
    if (!this.#accounts.has(apiKey.accountId))
      throw new StoreError('unknown-account', `there is no account ${apiKey.accountId}`);
    const stored = this.#keys.get(apiKey.id);
    if (stored !== undefined) {
      requireSame(`API key ${apiKey.id}`, content.apiKey, stored, apiKey);
      return undefined;
    }
    if ([...this.#keys.values()].some((other) => other.hash === apiKey.hash))
      throw conflict(`API key ${apiKey.id}`);
    return () => this.#keys.set(apiKey.id, { ...apiKey });
  }

  #revokeKey(keyId: string, atMs: number): Changes {
    const stored = this.#keys.get(keyId);
    if (stored === undefined) throw new StoreError('unknown-key', `there is no API key ${keyId}`);
    return () => this.#keys.set(keyId, { ...stored, revokedAtMs: stored.revokedAtMs ?? atMs });
  }

  async balances(): Promise<Map<string, Nano>> {
    this.#requireOpen();
    return new Map(this.#balances);
  }
  async accounts(): Promise<AccountRecord[]> {
    this.#requireOpen();
    return sortedById(this.#accounts);
  }
  async apiKeys(): Promise<ApiKeyRecord[]> {
    this.#requireOpen();
    return sortedById(this.#keys);
  }
  async contributor(publicKey: string): Promise<ContributorRecord | undefined> {
    this.#requireOpen();
    return this.#contributors.get(publicKey);
  }
  async receipt(id: string): Promise<StoredReceipt | undefined> {
    this.#requireOpen();
    return structuredClone(this.#receipts.get(id));
  }
  async receiptOfJob(jobId: string): Promise<StoredReceipt | undefined> {
    this.#requireOpen();
    return structuredClone(this.#jobs.get(jobId));
  }
  async directoryEntries(from: number, to: number): Promise<string[]> {
    this.#requireOpen();
    return this.#directory.slice(from, to);
  }
  async checkpoints(): Promise<Journal> {
    this.#requireOpen();
    const inOrder = [...this.#checkpoints].sort(([a], [b]) => (a < b ? -1 : 1));
    return { checkpoints: inOrder.map(([, checkpoint]) => structuredClone(checkpoint)), unreadable: [] };
  }
  async idempotency(accountId: string, key: string): Promise<IdempotencyRecord | undefined> {
    this.#requireOpen();
    return this.#idempotency.get(idempotencyKey({ accountId, key }));
  }
  async totals() {
    this.#requireOpen();
    return { ...this.#totals };
  }
  async close(): Promise<void> {
    this.#closed = true;
  }

  #requireOpen(): void {
    if (this.#closed) throw new StoreError('closed', 'the store is closed');
  }
}

const idempotencyKey = ({ accountId, key }: Pick<IdempotencyRecord, 'accountId' | 'key'>) =>
  JSON.stringify([accountId, key]);

function sortedById<Item extends { readonly id: string }>(items: ReadonlyMap<string, Item>): Item[] {
  return [...items.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}
