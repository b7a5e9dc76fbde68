/** Receipts of the private tier, alone and in the books, and the directory beside them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import SqliteDatabase from 'better-sqlite3';
import { entryText } from '@tussah/protocol/private/directory-heads';
import type { DirectoryEntry } from '@tussah/protocol/private/directory';
import { signPrivateReceipt } from '@tussah/protocol/private/check-receipt';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import { signNodeReceipt } from '@tussah/protocol/private/sign-statements';
import { newIdentity, type Identity } from '@tussah/protocol/signatures';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSqliteStore } from '../shell/store/sqlite-store.ts';
import {
  credit,
  post,
  privateSettlement,
  privateSettlementOf,
  settle,
} from '../shell/store/store-fixture.ts';
import { verifyBooks } from './verify-books.ts';
import { verifyReceiptText } from './verify-receipt.ts';

const folder = mkdtempSync(join(tmpdir(), 'tussah-verify-'));
let coordinator: Identity;
let node: Identity;
let receipt: PrivateReceipt;
beforeAll(async () => {
  [coordinator, node] = await Promise.all([newIdentity(), newIdentity()]);
  receipt = await signed();
});
afterAll(() => rmSync(folder, { recursive: true }));

async function signed(): Promise<PrivateReceipt> {
  const { signature: _, ...body } = privateSettlement().receipt;
  return signPrivateReceipt(coordinator, {
    ...body,
    node: await signNodeReceipt(node, body.node.receipt),
    receiptKey: node.publicKey,
    coordinator: coordinator.publicKey,
  });
}

const joined: DirectoryEntry = {
  kind: 'joined',
  atMs: 1,
  bundle: 'ab'.repeat(32),
  offer: {
    coordinator: 'c0'.repeat(32),
    identity: 'd0'.repeat(32),
    bundle: 'ab'.repeat(32),
    epochNonce: 'e0'.repeat(32),
    model: 'confidential',
    price: { promptNanoPerMillion: '1', completionNanoPerMillion: '1' },
    contextTokens: 1,
    concurrency: 1,
  },
  signature: '0'.repeat(128),
};
const left: DirectoryEntry = { kind: 'left', atMs: 2, bundle: joined.bundle, reason: 'drained' };

let made = 0;
async function books(): Promise<string> {
  const path = join(folder, `${made++}.sqlite`);
  const store = openSqliteStore(path);
  await store.write(post(credit(1_000n)));
  await store.write(settle(privateSettlementOf(receipt)));
  for (const [index, entry] of [joined, left].entries())
    await store.write({ kind: 'directory-entry', index, entry: entryText(entry) });
  await store.close();
  return path;
}

async function faultsAfter(sql: string): Promise<string[]> {
  const path = await books();
  const db = new SqliteDatabase(path);
  db.pragma('ignore_check_constraints = ON');
  db.exec(sql);
  db.close();
  const { checks } = await verifyBooks(path, coordinator.publicKey);
  return checks.filter(({ ok }) => !ok).map(({ name }) => name);
}

describe('verify -- receipt', () => {
  it('checks a private receipt, alone and as the event that brought it', async () => {
    for (const input of [receipt, { type: 'receipt', receipt }])
      expect((await verifyReceiptText(JSON.stringify(input), coordinator.publicKey)).verdict).toBe('valid');
    const { publicKey } = await newIdentity();
    expect((await verifyReceiptText(JSON.stringify(receipt), publicKey)).verdict).toBe('invalid');
  });

  it.each([
    { chargedNano: '21' },
    { payNano: '20' },
    { heldNano: '19' },
    { receiptKey: 'ab'.repeat(32) },
    { tier: 'public' },
  ])('finds %j', async (change) => {
    expect((await verifyReceiptText(JSON.stringify({ ...receipt, ...change }))).verdict).toBe('invalid');
  });
});

describe('verify -- books', () => {
  it('finds books with private jobs and a directory valid', async () => {
    expect(await faultsAfter('SELECT 1')).toEqual([]);
  });

  it.each([
    [
      'a receipt whose charge is another',
      'UPDATE receipts SET body = replace(body, \'"chargedNano":"20"\', \'"chargedNano":"19"\')',
      ['receipts', 'charges'],
    ],
    [
      'pay that went elsewhere',
      "UPDATE entries SET account = 'contributor:x' WHERE account LIKE 'contributor:%'",
      ['balances', 'charges'],
    ],
    ['totals without it', 'UPDATE totals SET answered = 0', ['totals']],
    ['an entry that is missing', 'DELETE FROM directory WHERE position = 0', ['directory']],
    ['an entry in another form', "UPDATE directory SET entry = entry || ' '", ['directory']],
    [
      'a bundle that joins twice',
      'INSERT INTO directory SELECT 2, entry FROM directory WHERE position = 0',
      ['directory'],
    ],
    [
      'a bundle that leaves twice',
      'INSERT INTO directory SELECT 2, entry FROM directory WHERE position = 1',
      ['directory'],
    ],
  ])('finds %s', async (_, sql, names) => {
    expect(await faultsAfter(sql)).toEqual(names);
  });
});
