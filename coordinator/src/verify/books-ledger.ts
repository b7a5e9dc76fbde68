/** The double entries, added up from nothing but the rows. */
import type { Database } from 'better-sqlite3';
import { FaultLog, type Check } from './verdict.ts';

interface EntryRow {
  readonly id: bigint;
  readonly key: string;
  readonly kind: string;
  readonly receipt_id: string | null;
  readonly account: string | null;
  readonly nano: bigint | null;
}

/** Each transaction has entries that add up to zero, and is either a job with a receipt or a credit without. */
export function checkTransactions(db: Database): Check {
  const log = new FaultLog();
  const rows = db.prepare<[], EntryRow>(
    `SELECT t.id, t.key, t.kind, t.receipt_id, e.account, e.nano FROM transactions t
     LEFT JOIN entries e ON e.transaction_id = t.id ORDER BY t.id`,
  );
  let count = 0;
  let current: { readonly row: EntryRow; sum: bigint; entries: number } | undefined;
  const finish = () => {
    if (current === undefined) return;
    const { row, sum, entries } = current;
    if (entries < 2) log.add('transactions', row.key, `has ${entries} entries`);
    if (sum !== 0n) log.add('transactions', row.key, `its entries add up to ${sum}, not 0`);
  };
  for (const row of rows.iterate()) {
    if (current?.row.id !== row.id) {
      finish();
      count += 1;
      current = { row, sum: 0n, entries: 0 };
      checkKind(row, log);
    }
    if (row.account === null || row.nano === null) continue;
    if (row.nano === 0n) log.add('entries', `${row.key} ${row.account}`, 'is zero');
    current.sum += row.nano;
    current.entries += 1;
  }
  finish();
  return log.check('transactions', `${count} transactions balance`);
}

function checkKind({ key, kind, receipt_id: receiptId }: EntryRow, log: FaultLog): void {
  const job = key.startsWith('job:');
  if (kind !== (job ? 'job' : 'credit')) log.add('transactions', key, `is of kind ${kind}`);
  if (job !== (receiptId !== null))
    log.add('transactions', key, job ? 'is a job without a receipt' : `names receipt ${receiptId}`);
}

interface Amount {
  readonly account: string;
  readonly nano: bigint;
  readonly source: 'entry' | 'balance';
}

/** Each balance is the sum of its account's entries; none is negative but the world's; all together are zero. */
export function checkBalances(db: Database): Check {
  const log = new FaultLog();
  const amounts = db.prepare<[], Amount>(
    `SELECT account, nano, 'entry' AS source FROM entries
     UNION ALL SELECT account, nano, 'balance' FROM balances ORDER BY account`,
  );
  let [accounts, total] = [0, 0n];
  let current: { readonly account: string; entries: bigint; balance: bigint | undefined } | undefined;
  const finish = () => {
    if (current === undefined) return;
    const { account, entries, balance } = current;
    accounts += 1;
    total += balance ?? 0n;
    if (balance === undefined) log.add('balances', account, `is missing; its entries add up to ${entries}`);
    else if (balance !== entries)
      log.add('balances', account, `is ${balance}, but its entries add up to ${entries}`);
    if ((balance ?? 0n) < 0n && !account.startsWith('world:'))
      log.add('balances', account, `is negative: ${balance}`);
  };
  for (const { account, nano, source } of amounts.iterate()) {
    if (current?.account !== account) {
      finish();
      current = { account, entries: 0n, balance: undefined };
    }
    if (source === 'entry') current.entries += nano;
    else current.balance = nano;
  }
  finish();
  if (total !== 0n) log.add('balances', 'all', `add up to ${total}, not 0`);
  return log.check('balances', `${accounts} accounts, together ${total} nanoTON`);
}

/** Rows that point to rows which are not there, one question each: the row's name and what it misses. */
const dangling: readonly (readonly [table: string, sql: string])[] = [
  [
    'entries',
    `SELECT transaction_id || ' ' || account AS row, 'belongs to no transaction' AS problem FROM entries
     WHERE transaction_id NOT IN (SELECT id FROM transactions)`,
  ],
  [
    'transactions',
    `SELECT key AS row, 'its receipt ' || receipt_id || ' is missing' AS problem FROM transactions
     WHERE receipt_id IS NOT NULL AND receipt_id NOT IN (SELECT id FROM receipts)`,
  ],
  [
    'api_keys',
    `SELECT id AS row, 'its account ' || account_id || ' is missing' AS problem FROM api_keys
     WHERE account_id NOT IN (SELECT id FROM accounts)`,
  ],
  [
    'idempotency',
    `SELECT i.account_id || ' ' || i.key AS row, 'its receipt ' || i.receipt_id || ' is missing or of another job' AS problem
     FROM idempotency i LEFT JOIN receipts r ON r.id = i.receipt_id WHERE r.job_id IS NOT i.job_id`,
  ],
];

export function checkReferences(db: Database): Check {
  const log = new FaultLog();
  for (const [table, sql] of dangling)
    for (const { row, problem } of db.prepare<[], { row: string; problem: string }>(sql).iterate())
      log.add(table, row, problem);
  return log.check('references', 'entries, transactions, keys and idempotency point to what is there');
}
