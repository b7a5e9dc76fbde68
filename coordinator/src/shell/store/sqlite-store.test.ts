import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { storeContract } from './contract.ts';
import { groupBounds } from './group-commit.ts';
import { openDatabase, openSqliteStore, SqliteStore } from './sqlite-store.ts';
import { checkpointFor, credit, payer, post, settle, settlement } from './store-fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'tussah-store-'));
afterAll(() => rmSync(folder, { recursive: true }));
let n = 0;
const newPath = () => join(folder, `${n++}`, 'books.sqlite');

storeContract('SqliteStore', () => openSqliteStore(newPath()));

/** Rows that break what must always hold, by plain SQL of its own. */
function brokenRows(db: Database): unknown[] {
  return db
    .prepare(
      `SELECT 'unbalanced' AS fault, transaction_id AS row FROM entries GROUP BY 2 HAVING sum(nano) <> 0
       UNION ALL SELECT 'balance', account FROM (
         SELECT account, nano FROM balances UNION ALL SELECT account, -nano FROM entries
       ) GROUP BY account HAVING sum(nano) <> 0
       UNION ALL SELECT 'receipt without transaction', id FROM receipts
         WHERE id NOT IN (SELECT receipt_id FROM transactions WHERE receipt_id IS NOT NULL)
       UNION ALL SELECT 'transaction without receipt', key FROM transactions
         WHERE kind = 'job' AND receipt_id NOT IN (SELECT id FROM receipts)
       UNION ALL SELECT 'receipt without idempotency', id FROM receipts
         WHERE id NOT IN (SELECT receipt_id FROM idempotency)
       UNION ALL SELECT 'totals', answered FROM totals WHERE answered <> (SELECT count(*) FROM receipts)`,
    )
    .all();
}

describe('SqliteStore', () => {
  let path: string;
  let store: SqliteStore;
  /** A second connection, as another process has. */
  let other: Database;
  beforeEach(async () => {
    path = newPath();
    store = openSqliteStore(path);
    await store.write(post(credit(10n ** 12n)));
    other = new SqliteDatabase(path);
    return async () => {
      other.close();
      await store.close();
    };
  });

  it('keeps everything over closing and opening', async () => {
    const job = settlement('once');
    await store.write(settle(job));
    const before = await store.balances();
    await store.close();
    const again = openSqliteStore(path);
    expect(await again.balances()).toEqual(before);
    expect(await again.receipt(job.receipt.id)).toEqual(job.receipt);
    expect(await again.totals()).toEqual({ answered: 1, completionTokens: 64 });
    await again.write(settle(job));
    expect(await again.balances()).toEqual(before);
    await again.close();
  });

  it.each([
    ['altered', 'UPDATE checkpoints SET body = replace(body, \'"tokens":5\', \'"tokens":6\')'],
    ['of another job', "UPDATE checkpoints SET job_id = 'job_x'"],
    ['of no known form', "UPDATE checkpoints SET body = '{}', sha256 = SHA"],
  ])('names checkpoints that are %s, and leaves them out', async (_, sql) => {
    await store.write({ kind: 'checkpoint', checkpoint: checkpointFor(`job_${'a'.repeat(24)}`) });
    other.exec(sql.replace('SHA', `'${hash('sha256', '{}')}'`));
    const jobId = other.prepare('SELECT job_id FROM checkpoints').pluck().get();
    expect(await store.checkpoints()).toEqual({ checkpoints: [], unreadable: [jobId] });
  });

  it.each([
    'receipts',
    'transactions',
    'entries',
    'balances',
    'contributors',
    'idempotency',
    'totals',
    'checkpoints',
  ])('leaves nothing of a settlement when writing %s fails', async (table) => {
    const job = settlement('once');
    const before = [await store.balances(), await store.totals()];
    const checkpoint = checkpointFor(job.receipt.jobId);
    await store.write({ kind: 'checkpoint', checkpoint });
    const verb = { totals: 'UPDATE', checkpoints: 'DELETE' }[table] ?? 'INSERT';
    other.exec(`CREATE TRIGGER fault AFTER ${verb} ON ${table} BEGIN SELECT raise(ABORT, 'injected'); END`);
    await expect(store.write(settle(job))).rejects.toMatchObject({ fault: 'invalid' });
    expect([await store.balances(), await store.totals()]).toEqual(before);
    expect(await store.receipt(job.receipt.id)).toBeUndefined();
    expect(await store.contributor(job.contributors[0]?.publicKey ?? '')).toBeUndefined();
    expect(await store.idempotency(payer, 'once')).toBeUndefined();
    expect((await store.checkpoints()).checkpoints).toEqual([checkpoint]);
    expect(other.prepare('SELECT count(*) FROM transactions').pluck().get()).toBe(1);
    other.exec('DROP TRIGGER fault');
    await store.write(settle(job));
    expect(brokenRows(other)).toEqual([]);
  });

  it('shows a reader whole groups only, and does not wait for it', async () => {
    const jobs = Array.from({ length: 30 }, (_, i) => settlement(`${i}`));
    other.exec('BEGIN');
    const count = other.prepare('SELECT count(*) FROM receipts').pluck();
    expect(count.get()).toBe(0);
    await Promise.all(jobs.map((job) => store.write(settle(job))));
    // The reader's snapshot stands while writes go on.
    expect(count.get()).toBe(0);
    other.exec('COMMIT');
    expect(count.get()).toBe(30);
    expect(brokenRows(other)).toEqual([]);
  });

  it('reads its own writes while others are under way', async () => {
    const jobs = Array.from({ length: 300 }, (_, i) => settlement(`${i}`));
    await Promise.all(
      jobs.map(async (job) => {
        await store.write(settle(job));
        expect((await store.receipt(job.receipt.id))?.id).toBe(job.receipt.id);
      }),
    );
    expect((await store.totals()).answered).toBe(300);
  });

  it('waits for the disk with each commit, and for another process that holds the database', () => {
    const db = openDatabase(newPath());
    const pragma = (name: string) => db.pragma(name, { simple: true });
    expect(pragma('journal_mode')).toBe('wal');
    // 2 is FULL: https://www.sqlite.org/pragma.html#pragma_synchronous
    expect(pragma('synchronous')).toBe(2n);
    expect(pragma('foreign_keys')).toBe(1n);
    expect(pragma('busy_timeout')).toBe(5_000n);
    db.close();
  });

  it('rejects the group when the disk is full, keeps what was there, and goes on when there is space', async () => {
    const db = openDatabase(newPath());
    const small = new SqliteStore(db, groupBounds);
    await small.write(post(credit(10n ** 12n)));
    const before = await small.balances();
    db.pragma(`max_page_count = ${String(db.pragma('page_count', { simple: true }))}`);
    const jobs = Array.from({ length: 40 }, () => settlement());
    const outcomes = await Promise.allSettled(jobs.map((job) => small.write(settle(job))));
    expect(new Set(outcomes.map((outcome) => outcome.status === 'rejected' && outcome.reason.fault))).toEqual(
      new Set(['disk']),
    );
    expect(await small.balances()).toEqual(before);
    db.pragma('max_page_count = 100000');
    await Promise.all(jobs.map((job) => small.write(settle(job))));
    expect((await small.totals()).answered).toBe(40);
    await small.close();
  });

  it('keeps every acknowledged write and no half one when its process is killed', async () => {
    await store.close();
    const acknowledged: string[] = [];
    for (const round of [0, 1, 2]) acknowledged.push(...(await runAndKill(path, round, 20 + 17 * round)));
    expect(acknowledged.length).toBeGreaterThanOrEqual(20 + 37 + 54);
    store = openSqliteStore(path);
    const found = await Promise.all(acknowledged.map((id) => store.receipt(id)));
    expect(found.filter((receipt) => receipt === undefined)).toEqual([]);
    expect(brokenRows(other)).toEqual([]);
    expect(other.pragma('integrity_check', { simple: true })).toBe('ok');
  }, 30_000);

  it('refuses a file that is not a database, and one of another program, unchanged', () => {
    const text = join(folder, 'text');
    writeFileSync(text, 'not a database, '.repeat(100));
    expect(() => openSqliteStore(text)).toThrow(expect.objectContaining({ fault: 'unusable' }));
    const foreign = join(folder, 'foreign');
    const db = new SqliteDatabase(foreign);
    db.exec('CREATE TABLE notes (text TEXT)');
    expect(() => openSqliteStore(foreign)).toThrow(/another program/);
    expect(db.pragma('journal_mode', { simple: true })).toBe('delete');
    expect(db.prepare('SELECT name FROM sqlite_schema').pluck().all()).toEqual(['notes']);
    db.close();
  });
});

/** Lets a child write until it acknowledged `count` writes, kills it, and returns what it acknowledged. */
function runAndKill(path: string, round: number, count: number): Promise<string[]> {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL('crash-child.ts', import.meta.url)), path, `${round}`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const acknowledged: string[] = [];
  return new Promise((resolve, reject) => {
    const lines = createInterface(child.stdout);
    lines.on('line', (line) => {
      // A line cut by the kill is no acknowledgement.
      if (/^rcp_\w{24}$/.test(line)) acknowledged.push(line);
      if (acknowledged.length >= count) child.kill('SIGKILL');
    });
    lines.on('close', () =>
      acknowledged.length >= count ? resolve(acknowledged) : reject(new Error('the child ended early')),
    );
  });
}
