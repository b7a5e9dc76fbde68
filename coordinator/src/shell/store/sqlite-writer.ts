/** One write, inside the open transaction of its group. The hot path: prepared once, no query builder. */
import { hash } from 'node:crypto';
import type { Database } from 'better-sqlite3';
import type { Nano } from '@tussah/protocol/money';
import type { Entry, Transaction } from '../../core/ledger.ts';
import type { JobCheckpoint } from '../../core/state.ts';
import { checkpointText } from './checkpoint-text.ts';
import type {
  AccountRecord,
  ApiKeyRecord,
  IdempotencyRecord,
  Settlement,
  StoredReceipt,
  StoreWrite,
  WriteOutcome,
} from './port.ts';
import { StoreError } from './store-error.ts';
import { balancesAfter, checkCredit, checkSettlement, content, jobOf, requireSame } from './write-rules.ts';

interface TransactionRow {
  readonly id: bigint;
  readonly kind: Transaction['kind'];
  readonly at_ms: bigint;
  readonly receipt_id: string | null;
}

function prepare(db: Database) {
  return {
    addReceipt: db.prepare<[string, string, number, string]>(
      'INSERT INTO receipts (id, job_id, created_at_ms, body) VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING',
    ),
    receipt: db.prepare<[string], string>('SELECT body FROM receipts WHERE id = ?').pluck(),
    addTransaction: db.prepare<[string, string, number, string | null]>(
      'INSERT INTO transactions (key, kind, at_ms, receipt_id) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING',
    ),
    transaction: db.prepare<[string], TransactionRow>(
      'SELECT id, kind, at_ms, receipt_id FROM transactions WHERE key = ?',
    ),
    addEntry: db.prepare<[number | bigint, string, Nano]>(
      'INSERT INTO entries (transaction_id, account, nano) VALUES (?, ?, ?)',
    ),
    entries: db.prepare<[bigint], Entry>(
      'SELECT account, nano AS amountNano FROM entries WHERE transaction_id = ?',
    ),
    balance: db.prepare<[string], Nano>('SELECT nano FROM balances WHERE account = ?').pluck(),
    putBalance: db.prepare<[string, Nano]>(
      'INSERT INTO balances (account, nano) VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET nano = excluded.nano',
    ),
    putContributor: db.prepare<[string, string | null, number, number, number, number | null]>(
      `INSERT INTO contributors (public_key, wallet, jobs_done, jobs_failed, tokens, tokens_per_second)
       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (public_key) DO UPDATE SET
         wallet = excluded.wallet, jobs_done = excluded.jobs_done, jobs_failed = excluded.jobs_failed,
         tokens = excluded.tokens, tokens_per_second = excluded.tokens_per_second`,
    ),
    addIdempotency: db.prepare<[string, string, string, string, string, number]>(
      `INSERT INTO idempotency (account_id, key, request_hash, job_id, receipt_id, at_ms)
       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    idempotency: db.prepare<[string, string], IdempotencyRecord>(
      `SELECT account_id AS accountId, key, request_hash AS requestHash, job_id AS jobId,
         receipt_id AS receiptId, at_ms AS atMs FROM idempotency WHERE account_id = ? AND key = ?`,
    ),
    // Nothing is written down of a job that is settled.
    putCheckpoint: db.prepare<[string, string, string, string]>(
      `INSERT INTO checkpoints (job_id, body, sha256)
       SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM receipts WHERE job_id = ?)
       ON CONFLICT (job_id) DO UPDATE SET body = excluded.body, sha256 = excluded.sha256`,
    ),
    forgetCheckpoint: db.prepare<[string]>('DELETE FROM checkpoints WHERE job_id = ?'),
    // Positions have no gaps: each is the number of those before it.
    addEntryAtEnd: db.prepare<[number, string, number]>(
      `INSERT INTO directory (position, entry)
       SELECT ?, ? WHERE ? = (SELECT coalesce(max(position) + 1, 0) FROM directory)`,
    ),
    directoryEntry: db.prepare<[number], string>('SELECT entry FROM directory WHERE position = ?').pluck(),
    addTotals: db.prepare<[number, number]>(
      'UPDATE totals SET answered = answered + ?, completion_tokens = completion_tokens + ?',
    ),
    addAccount: db.prepare<[string, string, number, number]>(
      'INSERT INTO accounts (id, name, weight, created_at_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING',
    ),
    account: db.prepare<[string], { id: string; name: string; weight: bigint }>(
      'SELECT id, name, weight FROM accounts WHERE id = ?',
    ),
    addKey: db.prepare<[string, string, string, number, number | null]>(
      `INSERT INTO api_keys (id, hash, account_id, created_at_ms, revoked_at_ms)
       VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    key: db.prepare<[string], Pick<ApiKeyRecord, 'id' | 'hash' | 'accountId'>>(
      'SELECT id, hash, account_id AS accountId FROM api_keys WHERE id = ?',
    ),
    revokeKey: db.prepare<[number, string]>(
      'UPDATE api_keys SET revoked_at_ms = coalesce(revoked_at_ms, ?) WHERE id = ?',
    ),
  };
}

export const sha256Of = (text: string): string => hash('sha256', text);

const outcomeOf = ({ changes }: { readonly changes: number }): WriteOutcome =>
  changes === 0 ? 'known' : 'written';

export class SqliteWriter {
  readonly #sql: ReturnType<typeof prepare>;

  constructor(db: Database) {
    this.#sql = prepare(db);
  }

  /** Throws a `StoreError`, or SQLite's, when the write is refused; what it did so far is then to be rolled back. */
  apply(write: StoreWrite): WriteOutcome {
    switch (write.kind) {
      case 'settlement':
        return this.#settle(write.settlement);
      case 'checkpoint':
        return this.#checkpoint(write.checkpoint);
      case 'forget-checkpoint':
        return outcomeOf(this.#sql.forgetCheckpoint.run(write.jobId));
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
        this.#revokeKey(write.keyId, write.atMs);
        return 'written';
      default:
        return write satisfies never;
    }
  }

  #settle(settlement: Settlement): WriteOutcome {
    checkSettlement(settlement);
    const { receipt, transaction, idempotency } = settlement;
    const { id, createdAtMs } = receipt;
    const { jobId, outcome, completionTokens } = jobOf(receipt);
    const added = this.#sql.addReceipt.run(id, jobId, createdAtMs, JSON.stringify(receipt));
    if (added.changes === 0) {
      this.#requireSettled(settlement);
      return 'known';
    }
    if (transaction !== null) this.#addTransaction(transaction);
    for (const c of settlement.contributors)
      this.#sql.putContributor.run(
        c.publicKey,
        c.wallet,
        c.jobsDone,
        c.jobsFailed,
        c.tokens,
        c.tokensPerSecond,
      );
    if (idempotency !== null) this.#addIdempotency(idempotency);
    this.#sql.forgetCheckpoint.run(jobId);
    this.#sql.addTotals.run(outcome === 'complete' ? 1 : 0, completionTokens);
    return 'written';
  }

  #checkpoint(checkpoint: JobCheckpoint): WriteOutcome {
    const { id } = checkpoint.request;
    const body = checkpointText(checkpoint);
    return outcomeOf(this.#sql.putCheckpoint.run(id, body, sha256Of(body), id));
  }

  #addEntry(index: number, entry: string): WriteOutcome {
    const sql = this.#sql;
    if (sql.addEntryAtEnd.run(index, entry, index).changes > 0) return 'written';
    const stored = sql.directoryEntry.get(index);
    if (stored === undefined) throw new StoreError('invalid', `entry ${index} is not the next`);
    requireSame(`entry ${index}`, (text: string) => text, stored, entry);
    return 'known';
  }

  /** A settlement seen before changes nothing, the contributors' records included: they may be newer by now. */
  #requireSettled({ receipt, transaction, idempotency }: Settlement): void {
    const body = this.#sql.receipt.get(receipt.id);
    const stored = body === undefined ? undefined : (JSON.parse(body) as StoredReceipt);
    requireSame(`receipt ${receipt.id}`, content.receipt, stored, receipt);
    if (transaction !== null) this.#requireTransaction(transaction);
    if (idempotency !== null) this.#requireIdempotency(idempotency);
  }

  #addTransaction(transaction: Transaction): WriteOutcome {
    const { key, kind, atMs, receiptId, entries } = transaction;
    const sql = this.#sql;
    const added = sql.addTransaction.run(key, kind, atMs, receiptId);
    if (added.changes === 0) {
      this.#requireTransaction(transaction);
      return 'known';
    }
    const before = new Map<string, Nano>();
    for (const { account } of entries) {
      const nano = sql.balance.get(account);
      if (nano !== undefined) before.set(account, nano);
    }
    for (const [account, nano] of balancesAfter(before, transaction)) sql.putBalance.run(account, nano);
    for (const { account, amountNano } of entries)
      sql.addEntry.run(added.lastInsertRowid, account, amountNano);
    return 'written';
  }

  #requireTransaction(transaction: Transaction): void {
    const { key } = transaction;
    const row = this.#sql.transaction.get(key);
    const stored = row && {
      key,
      kind: row.kind,
      atMs: Number(row.at_ms),
      receiptId: row.receipt_id,
      entries: this.#sql.entries.all(row.id),
    };
    requireSame(`transaction ${key}`, content.transaction, stored, transaction);
  }

  #addIdempotency(record: IdempotencyRecord): void {
    const { accountId, key, requestHash, jobId, receiptId, atMs } = record;
    const added = this.#sql.addIdempotency.run(accountId, key, requestHash, jobId, receiptId, atMs);
    if (added.changes === 0) this.#requireIdempotency(record);
  }

  #requireIdempotency(record: IdempotencyRecord): void {
    const stored = this.#sql.idempotency.get(record.accountId, record.key);
    requireSame(`idempotency key of ${record.accountId}`, content.idempotency, stored, record);
  }

  #addAccount(account: AccountRecord): WriteOutcome {
    const { id, name, weight, createdAtMs } = account;
    if (this.#sql.addAccount.run(id, name, weight, createdAtMs).changes > 0) return 'written';
    const row = this.#sql.account.get(id);
    const stored = row && { ...row, weight: Number(row.weight), createdAtMs };
    requireSame(`account ${id}`, content.account, stored, account);
    return 'known';
  }

  #addKey(apiKey: ApiKeyRecord): WriteOutcome {
    const { id, hash, accountId, createdAtMs, revokedAtMs } = apiKey;
    if (this.#sql.account.get(accountId) === undefined)
      throw new StoreError('unknown-account', `there is no account ${accountId}`);
    if (this.#sql.addKey.run(id, hash, accountId, createdAtMs, revokedAtMs).changes > 0) return 'written';
    const row = this.#sql.key.get(id);
    requireSame(`API key ${id}`, content.apiKey, row && { ...apiKey, ...row }, apiKey);
    return 'known';
  }

  #revokeKey(keyId: string, atMs: number): void {
    if (this.#sql.revokeKey.run(atMs, keyId).changes === 0)
      throw new StoreError('unknown-key', `there is no API key ${keyId}`);
  }
}
