import SqliteDatabase, { type Database } from 'better-sqlite3';
import { beforeEach, describe, expect, it } from 'vitest';
import { migrate, migrations } from './migrations.ts';

const newest = migrations.length;
const next = {
  number: newest + 1,
  name: 'next',
  sql: 'CREATE TABLE next (id INTEGER PRIMARY KEY) STRICT',
};

describe('migrate', () => {
  let db: Database;
  beforeEach(() => {
    db = new SqliteDatabase(':memory:');
    db.defaultSafeIntegers(true);
    return () => db.close();
  });
  const applied = () => db.prepare('SELECT number, name, applied_at_ms AS at FROM schema_migrations').all();
  const tables = () => db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all();

  it('numbers its steps from 1 without gaps', () => {
    expect(migrations.map(({ number }) => number)).toEqual(migrations.map((_, i) => i + 1));
  });

  it('makes only strict tables', () => {
    migrate(db, 5);
    const loose = db.prepare(
      "SELECT name FROM pragma_table_list WHERE strict = 0 AND name NOT LIKE 'sqlite_%'",
    );
    expect(loose.pluck().all()).toEqual([]);
  });

  it('records each step once', () => {
    migrate(db, 5);
    migrate(db, 6);
    migrate(db, 7, [...migrations, next]);
    expect(applied()).toEqual([
      ...migrations.map(({ number, name }) => ({ number: BigInt(number), name, at: 5n })),
      { number: BigInt(next.number), name: 'next', at: 7n },
    ]);
  });

  it('takes a step whole or not at all', () => {
    migrate(db, 5);
    const before = tables();
    const broken = { ...next, sql: `${next.sql}; CREATE TABLE accounts (id TEXT)` };
    expect(() => migrate(db, 6, [...migrations, broken])).toThrow(/already exists/);
    expect(tables()).toEqual(before);
    expect(applied()).toHaveLength(newest);
  });

  it('refuses a database from the future and says what to do', () => {
    migrate(db, 5, [...migrations, next]);
    const before = tables();
    expect(() => migrate(db, 6)).toThrow(
      expect.objectContaining({
        fault: 'unusable',
        message: expect.stringContaining(`migration ${next.number} "next", this version knows ${newest}`),
        remedy: expect.stringMatching(/newer version/),
      }),
    );
    expect(tables()).toEqual(before);
  });

  it('refuses a database whose steps are not ours', () => {
    migrate(db, 5, [{ number: 1, name: 'another beginning', sql: 'CREATE TABLE t (id TEXT) STRICT' }]);
    expect(() => migrate(db, 6)).toThrow(/another beginning/);
  });

  it("refuses another program's database", () => {
    db.exec('CREATE TABLE notes (text TEXT)');
    expect(() => migrate(db, 5)).toThrow(/another program/);
    expect(tables()).toEqual(['notes']);
  });
});
