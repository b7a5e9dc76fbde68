/** A coordinator's database with a bit of everything in it, whose receipts are really signed. */
import { newIdentity, type Identity } from '@tussah/protocol/signatures';
import { signedReceipt } from '@tussah/protocol/receipt-fixture';
import type { Receipt } from '@tussah/protocol/receipts';
import { openSqliteStore } from '../shell/store/sqlite-store.ts';
import { checkpointFor, credit, payer, post, settle, settlementOf } from '../shell/store/store-fixture.ts';

export interface Books {
  readonly coordinator: Identity;
  /** Two segments; one segment, asked by a guest; cut and charged; nothing charged. */
  readonly receipts: readonly [Receipt, Receipt, Receipt, Receipt];
}

/** A job that runs, written down. */
export const RUNNING = `job_${'r'.repeat(24)}`;

export async function writeBooks(path: string): Promise<Books> {
  const [coordinator, first, second] = await Promise.all([newIdentity(), newIdentity(), newIdentity()]);
  const receipts = await Promise.all([
    signedReceipt({
      coordinator,
      payer,
      segments: [
        { contributor: first, tokens: 40, billedTokens: 38, promptTokens: 20, end: 'lost' },
        { contributor: second, tokens: 24 },
      ],
    }),
    signedReceipt({
      coordinator,
      payer: 'guest',
      segments: [{ contributor: first, tokens: 10, promptTokens: 7, end: 'length' }],
    }),
    signedReceipt({
      coordinator,
      payer,
      outcome: 'cancelled',
      segments: [{ contributor: second, tokens: 5, promptTokens: 9, end: 'cancelled' }],
    }),
    signedReceipt({
      coordinator,
      payer,
      outcome: 'failed',
      segments: [{ contributor: second, tokens: 5, billedTokens: 0, end: 'refused' }],
    }),
  ]);
  const store = openSqliteStore(path);
  const account = { id: payer, name: 'Ada', weight: 1, createdAtMs: 1 };
  const apiKey = { id: 'key_1', hash: 'ab'.repeat(32), accountId: payer, createdAtMs: 1, revokedAtMs: null };
  await store.write({ kind: 'account', account });
  await store.write({ kind: 'api-key', apiKey });
  await store.write(post(credit(10n ** 12n)));
  await store.write(post(credit(10n ** 12n, 'credit:guests', 'operator:guests')));
  for (const [i, receipt] of receipts.entries()) {
    const settlement = settlementOf(receipt, `request ${i}`);
    const entries = settlement.transaction?.entries.map((entry) =>
      entry.account === 'client:guest' ? { ...entry, account: 'operator:guests' } : entry,
    );
    const transaction = settlement.transaction && { ...settlement.transaction, entries: entries ?? [] };
    await store.write(settle({ ...settlement, transaction }));
  }
  await store.write({ kind: 'checkpoint', checkpoint: checkpointFor(RUNNING) });
  await store.close();
  return { coordinator, receipts };
}
