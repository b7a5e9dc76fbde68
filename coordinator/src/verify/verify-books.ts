/**
 * Recomputes a coordinator's books from its database alone, with SQL of its own and nothing of the ledger or the store.
 * It shows that the books agree with themselves and with the signed receipts; not that no job was left out altogether,
 * nor that credits were backed by money.
 */
import type { Database } from 'better-sqlite3';
import { checkDatabase, openBooks } from './books-database.ts';
import { checkCheckpoints } from './books-checkpoints.ts';
import { checkBalances, checkReferences, checkTransactions } from './books-ledger.ts';
import { checkDirectory } from './books-directory.ts';
import { checkReceipts } from './books-receipts.ts';
import { verdictOf, type Check, type Verdict } from './verdict.ts';

/** Judges a database file; memory does not grow with it. Throws `UnusableInput` when it isn't a coordinator's. */
export async function verifyBooks(path: string, coordinator?: string): Promise<Verdict> {
  const db = openBooks(path);
  try {
    const checks: Check[] = [];
    for (const [name, run] of parts) {
      try {
        checks.push(...(await run(db, coordinator)));
      } catch (error) {
        // Rows that can't even be read: wrong, and no reason to keep quiet about the other checks.
        const detail = `could not be completed: ${error instanceof Error ? error.message : String(error)}`;
        checks.push({ name, ok: false, detail });
      }
    }
    return verdictOf(checks);
  } finally {
    db.close();
  }
}

type Part = (db: Database, coordinator: string | undefined) => Check[] | Promise<Check[]>;

const parts: readonly (readonly [name: string, part: Part])[] = [
  ['database', (db) => [checkDatabase(db)]],
  ['references', (db) => [checkReferences(db)]],
  ['transactions', (db) => [checkTransactions(db)]],
  ['balances', (db) => [checkBalances(db)]],
  ['receipts', checkReceipts],
  ['checkpoints', (db) => [checkCheckpoints(db)]],
  ['directory', (db) => [checkDirectory(db)]],
];
