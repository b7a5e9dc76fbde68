/**
 * The embedded store: SQLite in WAL mode, where each commit waits for the disk (synchronous=FULL), shared by the writes
 * of a turn. One process writes; others may read, as the verifier does.
 */
import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { Kysely, SqliteDialect } from 'kysely';
import type { Nano } from '@tussah/protocol/money';
import { checkpointOf } from './checkpoint-text.ts';
import { GroupCommit, groupBounds, type GroupBounds } from './group-commit.ts';
import { migrate, requireOurs } from './migrations.ts';
import type {
  AccountRecord,
  ApiKeyRecord,
  ContributorRecord,
  IdempotencyRecord,
  Journal,
  Store,
  StoredReceipt,
  StoreWrite,
  Totals,
  WriteOutcome,
} from './port.ts';
import type { Tables } from './schema.ts';
import { sha256Of, SqliteWriter } from './sqlite-writer.ts';
import { StoreError } from './store-error.ts';

/** How long a statement waits for another process that holds the database. */
const BUSY_TIMEOUT_MS = 5_000;

/** Opens or creates a database file, its folder included. Throws a `StoreError` when it can't be used. */
export function openSqliteStore(path: string, bounds: GroupBounds = groupBounds): SqliteStore {
  return new SqliteStore(openDatabase(path), bounds);
}

/** A database that waits for the disk with each commit, checks foreign keys, gives integers as bigint and is migrated. */
export function openDatabase(path: string): Database {
  const file = resolve(path);
  let db: Database | undefined;
  try {
    mkdirSync(dirname(file), { recursive: true });
    db = new SqliteDatabase(file, { timeout: BUSY_TIMEOUT_MS });
    db.defaultSafeIntegers(true);
    requireOurs(db);
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    // On macOS fsync does not reach the disk without this; elsewhere it changes nothing.
    db.pragma('fullfsync = ON');
    db.pragma('checkpoint_fullfsync = ON');
    db.pragma('foreign_keys = ON');
    db.pragma('trusted_schema = OFF');
    migrate(db, Date.now());
    return db;
  } catch (error) {
    db?.close();
    if (error instanceof StoreError) throw error;
    throw new StoreError('unusable', `${file} can't be opened: ${messageOf(error)}`, { cause: error });
  }
}

export class SqliteStore implements Store {
  readonly #db: Database;
  readonly #query: Kysely<Tables>;
  readonly #writer: SqliteWriter;
  readonly #group: GroupCommit<StoreWrite>;
  readonly #begin;
  readonly #commit;
  readonly #savepoint;
  readonly #release;
  readonly #undo;
  /** Set when the disk failed: what it holds is then uncertain, and only opening it anew tells. */
  #broken: StoreError | undefined;

  /** `openSqliteStore` makes these: `db` is set up, migrated and from now on this store's own. */
  constructor(db: Database, bounds: GroupBounds) {
    this.#db = db;
    this.#query = new Kysely<Tables>({ dialect: new SqliteDialect({ database: db }) });
    this.#writer = new SqliteWriter(db);
    this.#begin = db.prepare('BEGIN IMMEDIATE');
    this.#commit = db.prepare('COMMIT');
    this.#savepoint = db.prepare('SAVEPOINT one_write');
    this.#release = db.prepare('RELEASE one_write');
    this.#undo = db.prepare('ROLLBACK TO one_write');
    this.#group = new GroupCommit((writes) => this.#commitGroup(writes), bounds);
  }

  write(write: StoreWrite): Promise<WriteOutcome> {
    return this.#broken === undefined ? this.#group.write(write) : Promise.reject(this.#broken);
  }

  /** Writes and commits so far. */
  get counts(): { readonly writes: number; readonly groups: number; readonly failed: number } {
    return this.#group.counts;
  }

  set onCommit(listener: (seconds: number) => void) {
    this.#group.onCommit = listener;
  }

  #commitGroup(writes: readonly StoreWrite[]): (WriteOutcome | StoreError)[] {
    if (this.#broken !== undefined) throw this.#broken;
    try {
      return this.#commitAll(writes) ?? this.#commitGood(writes);
    } catch (error) {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      const failed = new StoreError('disk', `nothing was written: ${messageOf(error)}`, { cause: error });
      // Neither a full disk nor a busy database leaves doubts; after anything else don't trust what is cached.
      if (!/^SQLITE_(FULL|BUSY)/.test(sqliteCode(error) ?? '')) this.#broken = failed;
      throw failed;
    }
  }

  /** The usual case, without the price of savepoints. Undefined, with nothing changed, when a write is refused. */
  #commitAll(writes: readonly StoreWrite[]): WriteOutcome[] | undefined {
    this.#begin.run();
    let outcomes: WriteOutcome[];
    try {
      outcomes = writes.map((write) => this.#writer.apply(write));
    } catch (error) {
      if (!this.#isRefusal(error)) throw error;
      this.#db.exec('ROLLBACK');
      return undefined;
    }
    this.#commit.run();
    return outcomes;
  }

  /** Each write behind a savepoint, so that a refused one takes nothing else with it. */
  #commitGood(writes: readonly StoreWrite[]): (WriteOutcome | StoreError)[] {
    this.#begin.run();
    const outcomes = writes.map((write) => {
      this.#savepoint.run();
      try {
        const outcome = this.#writer.apply(write);
        this.#release.run();
        return outcome;
      } catch (error) {
        if (!this.#isRefusal(error)) throw error;
        this.#undo.run();
        this.#release.run();
        return refusalOf(error, write.kind);
      }
    });
    this.#commit.run();
    return outcomes;
  }

  /** Whether an error is about one write, not about the file. After graver ones SQLite may have rolled back by itself. */
  #isRefusal(error: unknown): boolean {
    const code = sqliteCode(error);
    return this.#db.inTransaction && (code === undefined || refusalCodes.test(code));
  }

  async balances(): Promise<Map<string, Nano>> {
    const rows = await this.#read().selectFrom('balances').selectAll().execute();
    return new Map(rows.map((row) => [row.account, row.nano]));
  }

  async accounts(): Promise<AccountRecord[]> {
    const rows = await this.#read().selectFrom('accounts').selectAll().orderBy('id').execute();
    return rows.map((row) => ({
      id: row.id,
      name: row.name,
      weight: Number(row.weight),
      createdAtMs: Number(row.created_at_ms),
    }));
  }

  async apiKeys(): Promise<ApiKeyRecord[]> {
    const rows = await this.#read().selectFrom('api_keys').selectAll().orderBy('id').execute();
    return rows.map((row) => ({
      id: row.id,
      hash: row.hash,
      accountId: row.account_id,
      createdAtMs: Number(row.created_at_ms),
      revokedAtMs: row.revoked_at_ms === null ? null : Number(row.revoked_at_ms),
    }));
  }

  async contributor(publicKey: string): Promise<ContributorRecord | undefined> {
    const row = await this.#read()
      .selectFrom('contributors')
      .selectAll()
      .where('public_key', '=', publicKey)
      .executeTakeFirst();
    return (
      row && {
        publicKey: row.public_key,
        wallet: row.wallet,
        jobsDone: Number(row.jobs_done),
        jobsFailed: Number(row.jobs_failed),
        tokens: Number(row.tokens),
        tokensPerSecond: row.tokens_per_second,
      }
    );
  }

  async receipt(id: string): Promise<StoredReceipt | undefined> {
    const row = await this.#read()
      .selectFrom('receipts')
      .select('body')
      .where('id', '=', id)
      .executeTakeFirst();
    return row && (JSON.parse(row.body) as StoredReceipt);
  }

  async receiptOfJob(jobId: string): Promise<StoredReceipt | undefined> {
    const row = await this.#read()
      .selectFrom('receipts')
      .select('body')
      .where('job_id', '=', jobId)
      .executeTakeFirst();
    return row && (JSON.parse(row.body) as StoredReceipt);
  }

  async directoryEntries(from: number, to: number): Promise<string[]> {
    const rows = await this.#read()
      .selectFrom('directory')
      .select('entry')
      .where('position', '>=', BigInt(from))
      .where('position', '<', BigInt(to))
      .orderBy('position')
      .execute();
    return rows.map(({ entry }) => entry);
  }

  async checkpoints(): Promise<Journal> {
    const rows = await this.#read().selectFrom('checkpoints').selectAll().orderBy('job_id').execute();
    const read = rows.map(({ job_id: jobId, body, sha256 }) => {
      const checkpoint = sha256 === sha256Of(body) ? checkpointOf(body) : undefined;
      return { jobId, checkpoint: checkpoint?.request.id === jobId ? checkpoint : undefined };
    });
    return {
      checkpoints: read.flatMap(({ checkpoint }) => checkpoint ?? []),
      unreadable: read.flatMap(({ jobId, checkpoint }) => (checkpoint === undefined ? [jobId] : [])),
    };
  }

  async idempotency(accountId: string, key: string): Promise<IdempotencyRecord | undefined> {
    const row = await this.#read()
      .selectFrom('idempotency')
      .selectAll()
      .where('account_id', '=', accountId)
      .where('key', '=', key)
      .executeTakeFirst();
    return (
      row && {
        accountId: row.account_id,
        key: row.key,
        requestHash: row.request_hash,
        jobId: row.job_id,
        receiptId: row.receipt_id,
        atMs: Number(row.at_ms),
      }
    );
  }

  async totals(): Promise<Totals> {
    const row = await this.#read().selectFrom('totals').selectAll().executeTakeFirstOrThrow();
    return { answered: Number(row.answered), completionTokens: Number(row.completion_tokens) };
  }

  async close(): Promise<void> {
    if (!this.#db.open) return;
    this.#group.close();
    this.#db.close();
  }

  #read(): Kysely<Tables> {
    if (!this.#db.open) throw new StoreError('closed', 'the store is closed');
    return this.#query;
  }
}

const sqliteCode = (error: unknown): string | undefined =>
  error instanceof SqliteDatabase.SqliteError ? error.code : undefined;

/** Errors that are about the values of one write. */
const refusalCodes = /^SQLITE_(CONSTRAINT|MISMATCH|RANGE|TOOBIG)/;

function refusalOf(error: unknown, kind: StoreWrite['kind']): StoreError {
  if (error instanceof StoreError) return error;
  const unique = /^SQLITE_CONSTRAINT_(UNIQUE|PRIMARYKEY)/.test(sqliteCode(error) ?? '');
  return new StoreError(unique ? 'conflict' : 'invalid', `${kind} refused: ${messageOf(error)}`, {
    cause: error,
  });
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
