import {
  copyFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { hash } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import SqliteDatabase, { type Database } from 'better-sqlite3';
import { newIdentity } from '@tussah/protocol/signatures';
import { signBody } from '@tussah/protocol/receipt-fixture';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSqliteStore } from '../shell/store/sqlite-store.ts';
import { credit, payer, post } from '../shell/store/store-fixture.ts';
import { RUNNING, writeBooks, type Books } from './books-fixture.ts';
import { FAULTS_SHOWN, UnusableInput } from './verdict.ts';
import { verifyBooks } from './verify-books.ts';

const folder = mkdtempSync(join(tmpdir(), 'tussah-verify-'));
const original = join(folder, 'books.sqlite');
let books: Books;
beforeAll(async () => {
  books = await writeBooks(original);
});
afterAll(() => rmSync(folder, { recursive: true }));

/** A copy of the valid books, changed by somebody who may switch off every constraint. */
let copies = 0;
function altered(change: (db: Database) => void): string {
  const path = join(folder, `altered-${copies++}.sqlite`);
  copyFileSync(original, path);
  const db = new SqliteDatabase(path);
  db.pragma('foreign_keys = OFF');
  db.pragma('ignore_check_constraints = ON');
  change(db);
  db.close();
  return path;
}

async function faultsOf(path: string, coordinator?: string) {
  const { verdict, checks } = await verifyBooks(path, coordinator);
  expect(checks.every((check) => check.ok)).toBe(verdict === 'valid');
  return checks.flatMap((check) => check.faults ?? []);
}

const [r0, r1, r2, r3] = [0, 1, 2, 3].map((i) => () => books.receipts[i]?.id ?? '');
const job = (i: number) => `job:${books.receipts[i]?.jobId}`;

describe('verifyBooks', () => {
  it('finds valid books valid, names its checks, and finds the key', async () => {
    const { verdict, checks } = await verifyBooks(original, books.coordinator.publicKey);
    expect(checks.filter((check) => !check.ok)).toEqual([]);
    expect(verdict).toBe('valid');
    expect(checks.map((check) => check.name)).toEqual([
      'database',
      'references',
      'transactions',
      'balances',
      'receipts',
      'charges',
      'totals',
      'checkpoints',
      'directory',
    ]);
    expect(checks.find((check) => check.name === 'receipts')?.detail).toContain(books.coordinator.publicKey);
  });

  it('refuses books signed by another key than expected', async () => {
    const { publicKey } = await newIdentity();
    const faults = await faultsOf(original, publicKey);
    expect(faults.map(({ row }) => row).sort()).toEqual(books.receipts.map(({ id }) => id).sort());
  });

  /** Statement, table, and what the faulty row is called. */
  const one = 'WHERE rowid = 1';
  it.each<[string, string, string | RegExp | (() => string)]>([
    // transactions 1 and 2 are credits, 3 to 5 are jobs; receipts 1 to 4.
    ["UPDATE transactions SET key = 'job:other' WHERE id = 3", 'transactions', 'job:other'],
    ["UPDATE transactions SET key = 'credit:x' WHERE id = 3", 'transactions', 'credit:x'],
    ["UPDATE transactions SET kind = 'credit' WHERE id = 3", 'transactions', () => job(0)],
    ["UPDATE transactions SET kind = 'job' WHERE id = 1", 'transactions', 'credit:1'],
    ['UPDATE transactions SET receipt_id = NULL WHERE id = 3', 'transactions', () => job(0)],
    ["UPDATE transactions SET receipt_id = 'rcp_x' WHERE id = 3", 'transactions', () => job(0)],
    ["UPDATE transactions SET receipt_id = 'rcp_x' WHERE id = 1", 'transactions', 'credit:1'],
    ['UPDATE transactions SET id = 9 WHERE id = 3', 'entries', /^3 /],
    ['DELETE FROM transactions WHERE id = 3', 'entries', /^3 /],
    ['DELETE FROM transactions WHERE id = 3; DELETE FROM entries WHERE transaction_id = 3', 'receipts', r0!],
    ['DELETE FROM entries WHERE transaction_id = 3', 'transactions', () => job(0)],
    [
      "DELETE FROM entries WHERE transaction_id = 3 AND account = 'operator:fees'",
      'balances',
      'operator:fees',
    ],
    ['UPDATE entries SET nano = nano + 1 WHERE transaction_id = 3', 'transactions', () => job(0)],
    ["UPDATE entries SET nano = nano + 1 WHERE account = 'operator:guests'", 'balances', 'operator:guests'],
    [
      "UPDATE entries SET account = 'client:thief' WHERE transaction_id = 1 AND nano > 0",
      'balances',
      'client:thief',
    ],
    ['UPDATE entries SET transaction_id = 2 WHERE transaction_id = 3', 'transactions', () => job(0)],
    ["INSERT INTO entries VALUES (1, 'client:x', 5)", 'transactions', 'credit:1'],
    ["INSERT INTO entries VALUES (1, 'client:x', 0)", 'entries', 'credit:1 client:x'],
    ["UPDATE balances SET nano = nano + 1 WHERE account = 'operator:fees'", 'balances', 'operator:fees'],
    ["UPDATE balances SET nano = -1 WHERE account = 'operator:fees'", 'balances', 'operator:fees'],
    ["UPDATE balances SET account = 'client:x' WHERE account = 'operator:fees'", 'balances', 'client:x'],
    ["DELETE FROM balances WHERE account = 'operator:fees'", 'balances', 'operator:fees'],
    ["INSERT INTO balances VALUES ('client:x', 5)", 'balances', 'client:x'],
    [`UPDATE receipts SET id = 'rcp_x' ${one}`, 'receipts', 'rcp_x'],
    [`UPDATE receipts SET job_id = 'job_x' ${one}`, 'receipts', r0!],
    [`UPDATE receipts SET created_at_ms = 1 ${one}`, 'receipts', r0!],
    [`UPDATE receipts SET body = replace(body, 'tiny', 'huge') ${one}`, 'receipts', r0!],
    [`UPDATE receipts SET body = '{}' ${one}`, 'receipts', r0!],
    [`UPDATE receipts SET body = 'null' ${one}`, 'receipts', r0!],
    [`UPDATE receipts SET body = '' ${one}`, 'receipts', r0!],
    [`UPDATE receipts SET body = body || printf('%2000000s', ' ') ${one}`, 'receipts', r0!],
    [`UPDATE receipts SET body = (SELECT body FROM receipts WHERE rowid = 2) ${one}`, 'receipts', r0!],
    [`DELETE FROM receipts ${one}`, 'transactions', () => job(0)],
    ['DELETE FROM receipts WHERE rowid = 3', 'idempotency', /request 2$/],
    ['DELETE FROM receipts WHERE rowid = 4', 'totals', 'completion_tokens'],
    ["UPDATE idempotency SET receipt_id = 'rcp_x' WHERE key = 'request 1'", 'idempotency', /request 1$/],
    ["UPDATE idempotency SET job_id = 'job_x' WHERE key = 'request 1'", 'idempotency', /request 1$/],
    ["UPDATE api_keys SET account_id = 'acct_x'", 'api_keys', 'key_1'],
    ['DELETE FROM accounts', 'api_keys', 'key_1'],
    ["UPDATE accounts SET id = 'acct_x'", 'api_keys', 'key_1'],
    ['UPDATE totals SET answered = answered + 1', 'totals', 'answered'],
    ['UPDATE totals SET completion_tokens = 0', 'totals', 'completion_tokens'],
    ['DELETE FROM totals', 'totals', 'all'],
    ['UPDATE checkpoints SET body = replace(body, \'"tokens":5\', \'"tokens":6\')', 'checkpoints', RUNNING],
    ["UPDATE checkpoints SET body = ''", 'checkpoints', RUNNING],
    ["UPDATE checkpoints SET body = 'null'", 'checkpoints', RUNNING],
    ["UPDATE checkpoints SET body = body || printf('%2000000s', ' ')", 'checkpoints', RUNNING],
    ["UPDATE checkpoints SET sha256 = ''", 'checkpoints', RUNNING],
    ["UPDATE checkpoints SET job_id = 'job_x'", 'checkpoints', 'job_x'],
    ['UPDATE checkpoints SET job_id = (SELECT job_id FROM receipts LIMIT 1)', 'checkpoints', /^job_/],
    ['CREATE TRIGGER t AFTER INSERT ON entries BEGIN SELECT 1; END', 'sqlite_schema', 't'],
    [
      'ALTER TABLE balances RENAME TO b; CREATE VIEW balances AS SELECT * FROM b',
      'sqlite_schema',
      'balances',
    ],
  ])('names the row after %s', async (sql, table, row) => {
    const name = typeof row === 'function' ? row() : row;
    const skipped = sql.includes('rowid = 4')
      ? 'UPDATE totals SET completion_tokens = completion_tokens + 1'
      : '';
    const faults = await faultsOf(altered((db) => db.exec(`${sql}; ${skipped}`)));
    expect(faults).toContainEqual({
      table,
      row: typeof name === 'string' ? name : expect.stringMatching(name),
      problem: expect.any(String),
    });
  });

  it('names a charge that has no transaction, and a transaction whose receipt charges nothing', async () => {
    const path = altered((db) => {
      db.prepare('UPDATE transactions SET receipt_id = ?, key = ? WHERE id = 5').run(r3!(), job(3));
    });
    const rows = (await faultsOf(path)).map(({ table, row }) => `${table} ${row}`);
    expect(rows).toContain(`receipts ${r2!()}`);
    expect(rows).toContain(`transactions ${job(3)}`);
  });

  it('finds money that moved otherwise than the receipt says, though all of it balances', async () => {
    const path = altered((db) => {
      const [a, b] = books.receipts[0].segments.map(({ contributor }) => `contributor:${contributor}`);
      const move = db.prepare('UPDATE entries SET nano = nano + ? WHERE transaction_id = 3 AND account = ?');
      const keep = db.prepare('UPDATE balances SET nano = nano + ? WHERE account = ?');
      for (const [nano, account] of [
        [-1, a],
        [1, b],
      ]) {
        move.run(nano, account);
        keep.run(nano, account);
      }
    });
    const faults = await faultsOf(path);
    expect(faults.map(({ table }) => table)).toEqual(['entries', 'entries']);
    expect(faults[0]?.row).toContain(job(0));
  });

  it.each([
    ['bills more than was delivered', { open: { billedTokens: 99 } }, 'checkpoints', RUNNING],
    ['has a gap', { open: { firstPosition: 11 } }, 'checkpoints', RUNNING],
    ['has more than was asked for', { maxTokens: 14 }, 'checkpoints', RUNNING],
    ['holds more than there is', { reservedNano: '8999999999999999999' }, 'balances', `client:${payer}`],
  ])('names a checkpoint that %s, though its SHA-256 is right', async (_, change, table, row) => {
    const path = altered((db) => {
      const { body } = db.prepare<[], { body: string }>('SELECT body FROM checkpoints').get() ?? { body: '' };
      const checkpoint = JSON.parse(body) as { open: object };
      const open = { ...checkpoint.open, ...('open' in change ? change.open : {}) };
      const changed = JSON.stringify({ ...checkpoint, ...change, open });
      db.prepare('UPDATE checkpoints SET body = ?, sha256 = ?').run(changed, hash('sha256', changed));
    });
    const faults = await faultsOf(path);
    expect(faults).toEqual([{ table, row, problem: expect.any(String) as string }]);
  });

  it('finds a receipt signed by another coordinator among the rest', async () => {
    const stranger = await newIdentity();
    const forged = await signBody(stranger, { ...books.receipts[1], coordinator: stranger.publicKey });
    const path = altered((db) =>
      db.prepare('UPDATE receipts SET body = ? WHERE rowid = 2').run(JSON.stringify(forged)),
    );
    const faults = await faultsOf(path);
    expect(faults).toEqual([expect.objectContaining({ table: 'receipts', row: r1!() })]);
  });

  it('finds a receipt that is there twice, where the database lets it be', async () => {
    const path = altered((db) =>
      db.exec(`
        CREATE TABLE copy AS SELECT * FROM receipts;
        DROP TABLE receipts;
        ALTER TABLE copy RENAME TO receipts;
        INSERT INTO receipts SELECT * FROM receipts WHERE rowid = 1;
      `),
    );
    const rows = (await faultsOf(path)).map(({ table, row }) => `${table} ${row}`);
    expect(rows).toContain(`receipts ${r0!()}`);
  });

  it('goes on when rows have types that can not be read', async () => {
    const path = altered((db) =>
      db.exec(`
        CREATE TABLE copy (transaction_id, account, nano);
        INSERT INTO copy SELECT * FROM entries;
        UPDATE copy SET nano = 'much' WHERE transaction_id = 3;
        DROP TABLE entries;
        ALTER TABLE copy RENAME TO entries;
      `),
    );
    const { verdict, checks } = await verifyBooks(path);
    expect(verdict).toBe('invalid');
    expect(checks.find((check) => check.name === 'transactions')).toMatchObject({ ok: false });
    expect(checks.at(-1)?.name).toBe('directory');
  });

  it('finds damaged pages', async () => {
    const path = altered(() => undefined);
    const file = readFileSync(path);
    writeFileSync(path, file.fill(0xff, file.length - 4096));
    const { verdict, checks } = await verifyBooks(path);
    expect(verdict).toBe('invalid');
    expect(checks[0]).toMatchObject({ name: 'database', ok: false });
  });

  it('counts all faults and shows the first of them', async () => {
    const path = altered((db) => {
      const add = db.prepare("INSERT INTO balances VALUES ('client:' || ?, 5)");
      for (let i = 0; i < FAULTS_SHOWN + 20; i++) add.run(i);
    });
    const { checks } = await verifyBooks(path);
    const balances = checks.find((check) => check.name === 'balances');
    expect(balances?.faults).toHaveLength(FAULTS_SHOWN);
    // Each of them, and that they do not add up to zero.
    expect(balances?.detail).toContain(`${FAULTS_SHOWN + 21} fault(s)`);
  });

  it('reads books that are in use, and does not write', async () => {
    const path = altered(() => undefined);
    const store = openSqliteStore(path);
    await store.write(post(credit(5n, 'more')));
    expect((await verifyBooks(path)).verdict).toBe('valid');
    await store.write(post(credit(6n, 'and more')));
    await store.close();
    expect((await verifyBooks(path)).verdict).toBe('valid');
  });

  it.each<[string, () => string]>([
    [
      'a file cut short',
      () => {
        const path = altered(() => undefined);
        truncateSync(path, statSync(path).size - 4096);
        return path;
      },
    ],
    ['no file', () => join(folder, 'none')],
    ['a folder', () => folder],
    [
      'another file',
      () => {
        writeFileSync(join(folder, 'text'), 'x'.repeat(5_000));
        return join(folder, 'text');
      },
    ],
    [
      "another program's database",
      () => {
        new SqliteDatabase(join(folder, 'notes')).exec('CREATE TABLE notes (text TEXT)').close();
        return join(folder, 'notes');
      },
    ],
    [
      'a database of another version',
      () => altered((db) => db.exec('UPDATE schema_migrations SET number = number + 99')),
    ],
  ])('does not judge %s', async (_, path) => {
    await expect(verifyBooks(path())).rejects.toThrow(UnusableInput);
  });
});
