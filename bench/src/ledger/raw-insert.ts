/**
 * The floor of the ledger bench: the rows of settlements, inserted in transactions by prepared statements and nothing else.
 * The schema, its indices and the durability are the store's own. It validates, compares and encodes nothing: each
 * receipt's text and each balance come ready.
 */
import { openDatabase } from '@tussah/coordinator/shell/store/sqlite-store';
import type { Settlement } from '@tussah/coordinator/shell/store/port';

/** A settlement as its rows. */
export interface SettlementRows {
  readonly receipt: readonly [id: string, jobId: string, createdAtMs: number, body: string];
  readonly transaction: readonly [key: string, atMs: number, receiptId: string];
  /** `nano` is what the account gets, `balance` what it holds then. */
  readonly entries: readonly { readonly account: string; readonly nano: bigint; readonly balance: bigint }[];
  readonly contributors: Settlement['contributors'];
  readonly answered: number;
  readonly completionTokens: number;
}

/** The rows of a settlement that charges something; `balances` are brought up to date. */
export function rowsOf(
  { receipt, transaction, contributors }: Settlement,
  balances: Map<string, bigint>,
): SettlementRows {
  if (transaction === null || receipt.tier === 'private')
    throw new Error('this is no public settlement that charges something');
  return {
    receipt: [receipt.id, receipt.jobId, receipt.createdAtMs, JSON.stringify(receipt)],
    transaction: [transaction.key, transaction.atMs, receipt.id],
    entries: transaction.entries.map(({ account, amountNano }) => {
      const balance = (balances.get(account) ?? 0n) + amountNano;
      balances.set(account, balance);
      return { account, nano: amountNano, balance };
    }),
    contributors,
    answered: receipt.outcome === 'complete' ? 1 : 0,
    completionTokens: receipt.usage.completionTokens,
  };
}

/** `insert` makes a group durable in one transaction. */
export function openRawTables(path: string) {
  const db = openDatabase(path);
  const addReceipt = db.prepare('INSERT INTO receipts (id, job_id, created_at_ms, body) VALUES (?, ?, ?, ?)');
  const addTransaction = db.prepare(
    "INSERT INTO transactions (key, kind, at_ms, receipt_id) VALUES (?, 'job', ?, ?)",
  );
  const addEntry = db.prepare('INSERT INTO entries (transaction_id, account, nano) VALUES (?, ?, ?)');
  const putBalance = db.prepare(
    'INSERT INTO balances (account, nano) VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET nano = excluded.nano',
  );
  const putContributor = db.prepare(
    `INSERT INTO contributors (public_key, wallet, jobs_done, jobs_failed, tokens, tokens_per_second)
     VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (public_key) DO UPDATE SET
       wallet = excluded.wallet, jobs_done = excluded.jobs_done, jobs_failed = excluded.jobs_failed,
       tokens = excluded.tokens, tokens_per_second = excluded.tokens_per_second`,
  );
  const addTotals = db.prepare(
    'UPDATE totals SET answered = answered + ?, completion_tokens = completion_tokens + ?',
  );
  const forgetCheckpoint = db.prepare('DELETE FROM checkpoints WHERE job_id = ?');
  const insertOne = (rows: SettlementRows): void => {
    addReceipt.run(...rows.receipt);
    const { lastInsertRowid } = addTransaction.run(...rows.transaction);
    for (const { account, nano, balance } of rows.entries) {
      addEntry.run(lastInsertRowid, account, nano);
      putBalance.run(account, balance);
    }
    for (const c of rows.contributors)
      putContributor.run(c.publicKey, c.wallet, c.jobsDone, c.jobsFailed, c.tokens, c.tokensPerSecond);
    forgetCheckpoint.run(rows.receipt[1]);
    addTotals.run(rows.answered, rows.completionTokens);
  };
  const insert = db.transaction((group: readonly SettlementRows[]) => group.forEach(insertOne));
  const answered = db.prepare<[], bigint>('SELECT answered FROM totals').pluck();
  return {
    /** Settlements so far. */
    count: () => Number(answered.get()),
    insert: (group: readonly SettlementRows[]) => insert.immediate(group),
    close: () => db.close(),
  };
}
