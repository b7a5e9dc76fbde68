import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { unsignedReceipt } from '@tussah/protocol/receipt-fixture';
import { afterAll, describe, expect, it } from 'vitest';
import { MemoryStore } from './memory-store.ts';
import type { StoreWrite } from './port.ts';
import { openSqliteStore } from './sqlite-store.ts';
import { credit, namedIdentity, post, settle, settlementOf } from './store-fixture.ts';

const folder = mkdtempSync(join(tmpdir(), 'tussah-property-'));
afterAll(() => rmSync(folder, { recursive: true }));
let n = 0;

const client = fc.integer({ min: 0, max: 2 }).map((i) => `acct_${i}`);
const amount = fc.bigInt({ min: -50_000n, max: 50_000n });

const creditWrite = fc
  .record({ to: client, nano: amount, key: fc.integer({ min: 0, max: 12 }) })
  .map(({ to, nano, key }): StoreWrite => post(credit(nano, `credit:${key}`, `client:${to}`)));

/** Between clients; the second amount now and then does not match the first. */
const transfer = fc
  .record({ from: client, to: client, nano: amount, error: fc.constantFrom(0n, 0n, 0n, 1n), key: fc.nat(99) })
  .map(({ from, to, nano, error, key }): StoreWrite =>
    post({
      ...credit(1n, `transfer:${key}`),
      entries: [
        { account: `client:${from}`, amountNano: -nano },
        { account: `client:${to}`, amountNano: nano + error },
      ],
    }),
  );

const job = fc
  .record({
    payer: client,
    id: fc.integer({ min: 0, max: 20 }),
    segments: fc.array(
      fc.record({
        contributor: fc.integer({ min: 0, max: 3 }).map(namedIdentity),
        tokens: fc.integer({ min: 0, max: 200 }),
        promptTokens: fc.integer({ min: 0, max: 200 }),
      }),
      { maxLength: 4 },
    ),
    fee: fc.constantFrom(0, 500, 10_000),
  })
  .map(({ payer, id, segments, fee }): StoreWrite =>
    settle(
      settlementOf(
        unsignedReceipt({
          coordinator: namedIdentity(9),
          payer,
          segments,
          id: `rcp_${id}`,
          jobId: `job_${id}`,
          networkFeeBasisPoints: fee,
        }),
      ),
    ),
  );

/** Writes in groups: each inner array arrives in one turn. */
const histories = fc.array(fc.array(fc.oneof(creditWrite, transfer, job), { minLength: 1, maxLength: 12 }), {
  maxLength: 8,
});

describe('a store, over random histories', () => {
  it('keeps all accounts together at zero and equal to a recomputation from what it accepted', async () => {
    await fc.assert(
      fc.asyncProperty(histories, async (groups) => {
        const sqlite = openSqliteStore(join(folder, `${n++}.sqlite`));
        const memory = new MemoryStore();
        const expected = new Map<string, bigint>();
        const seen = new Set<string>();
        for (const group of groups) {
          const [ours, theirs] = await Promise.all([
            Promise.allSettled(group.map((write) => sqlite.write(write))),
            Promise.allSettled(group.map((write) => memory.write(write))),
          ]);
          expect(ours).toEqual(theirs.map((outcome) => expect.objectContaining({ status: outcome.status })));
          group.forEach((write, i) => {
            if (ours[i]?.status === 'fulfilled') recount(expected, seen, write);
          });
        }
        const balances = await sqlite.balances();
        expect(balances).toEqual(expected);
        expect(await memory.balances()).toEqual(expected);
        expect([...balances.values()].reduce((a, b) => a + b, 0n)).toBe(0n);
        for (const [account, nano] of balances)
          expect(nano >= 0n || account.startsWith('world:'), account).toBe(true);
        expect(await sqlite.totals()).toEqual(await memory.totals());
        await sqlite.close();
      }),
      { numRuns: 40 },
    );
  }, 30_000);
});

/** Adds up an accepted write, the first time its key is seen. */
function recount(balances: Map<string, bigint>, seen: Set<string>, write: StoreWrite): void {
  const transaction =
    write.kind === 'settlement'
      ? write.settlement.transaction
      : write.kind === 'transaction'
        ? write.transaction
        : null;
  if (transaction === null || seen.has(transaction.key)) return;
  seen.add(transaction.key);
  for (const { account, amountNano } of transaction.entries)
    balances.set(account, (balances.get(account) ?? 0n) + amountNano);
}
