/** The schema, as numbered steps that are recorded in the database. A step that was released is never changed. */
import type { Database } from 'better-sqlite3';
import { StoreError } from './store-error.ts';

export interface Migration {
  readonly number: number;
  readonly name: string;
  readonly sql: string;
}

/** "TUSH" in the file's header, so that somebody else's database is not taken for ours. */
export const APPLICATION_ID = 0x54_55_53_48;

export const migrations: readonly Migration[] = [
  {
    number: 1,
    name: 'ledger, receipts, accounts',
    sql: `
      CREATE TABLE accounts (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        weight INTEGER NOT NULL CHECK (weight >= 1),
        created_at_ms INTEGER NOT NULL
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE api_keys (
        id TEXT PRIMARY KEY,
        hash TEXT NOT NULL UNIQUE,
        account_id TEXT NOT NULL REFERENCES accounts (id),
        created_at_ms INTEGER NOT NULL,
        revoked_at_ms INTEGER
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE contributors (
        public_key TEXT PRIMARY KEY,
        wallet TEXT,
        jobs_done INTEGER NOT NULL CHECK (jobs_done >= 0),
        jobs_failed INTEGER NOT NULL CHECK (jobs_failed >= 0),
        tokens INTEGER NOT NULL CHECK (tokens >= 0),
        tokens_per_second REAL
      ) STRICT, WITHOUT ROWID;

      -- body: the signed receipt as JSON.
      CREATE TABLE receipts (
        id TEXT NOT NULL UNIQUE,
        job_id TEXT NOT NULL UNIQUE,
        created_at_ms INTEGER NOT NULL,
        body TEXT NOT NULL
      ) STRICT;

      CREATE TABLE transactions (
        id INTEGER PRIMARY KEY,
        key TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL CHECK (kind IN ('job', 'credit')),
        at_ms INTEGER NOT NULL,
        receipt_id TEXT UNIQUE REFERENCES receipts (id),
        CHECK ((kind = 'job') = (receipt_id IS NOT NULL))
      ) STRICT;

      CREATE TABLE entries (
        transaction_id INTEGER NOT NULL REFERENCES transactions (id),
        account TEXT NOT NULL,
        nano INTEGER NOT NULL CHECK (nano <> 0),
        PRIMARY KEY (transaction_id, account)
      ) STRICT, WITHOUT ROWID;

      -- The sum of an account's entries, kept in the same transaction as they are. Bounded, so that sums stay integers.
      CREATE TABLE balances (
        account TEXT PRIMARY KEY,
        nano INTEGER NOT NULL
          CHECK (nano BETWEEN -9000000000000000000 AND 9000000000000000000)
          CHECK (nano >= 0 OR substr(account, 1, 6) = 'world:')
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE idempotency (
        account_id TEXT NOT NULL,
        key TEXT NOT NULL,
        request_hash TEXT NOT NULL,
        job_id TEXT NOT NULL,
        receipt_id TEXT NOT NULL REFERENCES receipts (id),
        at_ms INTEGER NOT NULL,
        PRIMARY KEY (account_id, key)
      ) STRICT, WITHOUT ROWID;

      CREATE TABLE totals (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        answered INTEGER NOT NULL,
        completion_tokens INTEGER NOT NULL
      ) STRICT;
      INSERT INTO totals (id, answered, completion_tokens) VALUES (1, 0, 0);
    `,
  },
  {
    number: 2,
    name: 'checkpoints of running jobs',
    sql: `
      -- body: everything of a running job but its content, as JSON; sha256: of the body, since nothing else vouches for it.
      CREATE TABLE checkpoints (
        job_id TEXT PRIMARY KEY,
        body TEXT NOT NULL,
        sha256 TEXT NOT NULL
      ) STRICT, WITHOUT ROWID;
    `,
  },
  {
    number: 3,
    name: 'directory of nodes',
    sql: `
      -- The append-only log of who serves privately; entry: canonical JSON, a leaf of the Merkle tree.
      CREATE TABLE directory (
        position INTEGER PRIMARY KEY CHECK (position >= 0),
        entry TEXT NOT NULL
      ) STRICT;
    `,
  },
];

interface Applied {
  readonly number: bigint;
  readonly name: string;
}

/** Brings a database up to date, each step whole or not at all. Throws a `StoreError` for a database that isn't ours. */
export function migrate(db: Database, atMs: number, steps: readonly Migration[] = migrations): void {
  requireOurs(db);
  db.exec(
    'CREATE TABLE IF NOT EXISTS schema_migrations (number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at_ms INTEGER NOT NULL) STRICT',
  );
  db.pragma(`application_id = ${APPLICATION_ID}`);
  const record = db.prepare('INSERT INTO schema_migrations (number, name, applied_at_ms) VALUES (?, ?, ?)');
  const applied = db.prepare<[], Applied>('SELECT number, name FROM schema_migrations ORDER BY number');
  requireKnown(applied.all(), steps);
  for (const step of steps) {
    const apply = db.transaction(() => {
      // Read again inside: another process may have been faster.
      if (applied.all().some((done) => Number(done.number) === step.number)) return;
      db.exec(step.sql);
      record.run(step.number, step.name, atMs);
    });
    apply.immediate();
  }
}

/** Refuses another program's database, before anything in it is changed. */
export function requireOurs(db: Database): void {
  const id = Number(db.pragma('application_id', { simple: true }));
  const tables = db.prepare<[], { n: bigint }>('SELECT count(*) AS n FROM sqlite_schema').get();
  if (id !== APPLICATION_ID && Number(tables?.n ?? 0) > 0)
    throw new StoreError('unusable', `${db.name} is a database of another program`);
}

function requireKnown(applied: readonly Applied[], steps: readonly Migration[]): void {
  const newest = steps.at(-1)?.number ?? 0;
  for (const done of applied) {
    const step = steps.find((candidate) => candidate.number === Number(done.number));
    if (step?.name === done.name) continue;
    if (Number(done.number) <= newest)
      throw new StoreError(
        'unusable',
        `migration ${done.number} of the database is "${done.name}", not ours`,
      );
    throw new StoreError(
      'unusable',
      `the database was written by a newer version: it has migration ${done.number} "${done.name}", this version knows ${newest}`,
      { remedy: 'Run the newer version, or restore a backup from before the upgrade.' },
    );
  }
}
