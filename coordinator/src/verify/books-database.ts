/** Opens a coordinator's database to be read by a stranger: read-only, one snapshot, nothing in it trusted. */
import { existsSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { FaultLog, UnusableInput, type Check } from './verdict.ts';

/** The newest schema this verifier reads. */
const SCHEMA_VERSION = 3n;

/** Columns that have to be unique, whatever the database itself enforces. */
const unique: readonly (readonly [table: string, column: string])[] = [
  ['accounts', 'id'],
  ['api_keys', 'id'],
  ['api_keys', 'hash'],
  ['contributors', 'public_key'],
  ['receipts', 'id'],
  ['receipts', 'job_id'],
  ['transactions', 'id'],
  ['transactions', 'key'],
  ['transactions', 'receipt_id'],
  ['entries', "transaction_id || ' ' || account"],
  ['balances', 'account'],
  ['idempotency', "account_id || ' ' || key"],
  ['checkpoints', 'job_id'],
  ['directory', 'position'],
];
const tables = new Set([...unique.map(([table]) => table), 'totals', 'schema_migrations']);

/** Opens the database in a read transaction: what is written meanwhile is not seen. Integers come as bigint. */
export function openBooks(path: string): Database {
  const file = resolve(path);
  if (!existsSync(file) || !statSync(file).isFile())
    throw new UnusableInput(`there is no file ${file}`, "Name the coordinator's database file.");
  let db: Database | undefined;
  try {
    db = new SqliteDatabase(file, { readonly: true, fileMustExist: true });
    db.defaultSafeIntegers(true);
    db.pragma('trusted_schema = OFF');
    db.exec('BEGIN');
    requireKnownSchema(db);
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof UnusableInput) throw error;
    throw new UnusableInput(
      `${file} can't be read: ${error instanceof Error ? error.message : String(error)}`,
      "Name the coordinator's database file; beside it SQLite needs to create NAME-shm, so copy it to a writable folder.",
    );
  }
}

function requireKnownSchema(db: Database): void {
  const names = db.prepare<[], string>('SELECT name FROM sqlite_schema').pluck().all();
  const missing = [...tables].filter((table) => !names.includes(table));
  if (missing.length > 0)
    throw new UnusableInput(
      `this is not a coordinator's database: it has no ${missing.join(', ')}`,
      "Name the coordinator's database file.",
    );
  const version = db.prepare<[]>('SELECT max(number) FROM schema_migrations').pluck().get();
  if (version !== SCHEMA_VERSION)
    throw new UnusableInput(
      `the database has schema ${String(version)}; this verifier reads ${SCHEMA_VERSION}`,
      'Use the verifier of the version that wrote it.',
    );
}

/** The file itself: pages and indexes sound, the tables plain, the keys unique. */
export function checkDatabase(db: Database): Check {
  const log = new FaultLog();
  // A view or trigger under a table's name could show each question another answer.
  const objects = db.prepare<[], { type: string; name: string }>('SELECT type, name FROM sqlite_schema');
  for (const { type, name } of objects.iterate()) {
    const expected = type === 'table' ? tables.has(name) || name.startsWith('sqlite_') : type === 'index';
    if (!expected) log.add('sqlite_schema', name, `a ${type} that does not belong here`);
  }
  const integrity = db.prepare<[], string>('PRAGMA integrity_check(50)').pluck();
  for (const line of integrity.iterate()) if (line !== 'ok') log.add('sqlite_schema', 'integrity', line);
  for (const [table, column] of unique) {
    const twice = db
      .prepare<[]>(
        `SELECT ${column} FROM ${table} WHERE ${column} IS NOT NULL GROUP BY 1 HAVING count(*) > 1`,
      )
      .pluck();
    for (const row of twice.iterate()) log.add(table, row, `${column} occurs more than once`);
  }
  return log.check('database', `schema ${SCHEMA_VERSION}, ${tables.size} tables`);
}
