/** The rules of a write that need no database but the balances, the same for every store. */
import { NANO_MAX, type Nano } from '@tussah/protocol/money';
import { canonicalText, type Canonical } from '@tussah/protocol/canonical';
import { faultOf, type Entry, type Transaction } from '../../core/ledger.ts';
import type { AccountRecord, ApiKeyRecord, IdempotencyRecord, Settlement, StoredReceipt } from './port.ts';
import { StoreError } from './store-error.ts';

const jobKey = (jobId: string) => `job:${jobId}`;

/** What both kinds of receipt say of their job. */
export function jobOf(receipt: StoredReceipt): {
  readonly jobId: string;
  readonly outcome: 'complete' | 'cancelled' | 'failed';
  readonly completionTokens: number;
} {
  if (receipt.tier === 'private' && 'node' in receipt) return receipt.node.receipt;
  const { jobId, outcome, usage } = receipt;
  return { jobId, outcome, completionTokens: usage.completionTokens };
}

/** A stand-alone transaction must not pass for a job's. */
export function checkCredit(transaction: Transaction): void {
  const { key, kind, receiptId } = transaction;
  if (kind === 'job' || receiptId !== null || key.startsWith('job:'))
    throw new StoreError('mismatched', `transaction ${key} belongs to a job, but has no receipt with it`);
}

/** The parts of a settlement must be of one job. */
export function checkSettlement({ receipt, transaction, idempotency }: Settlement): void {
  const mismatch = (what: string) => new StoreError('mismatched', `settlement ${receipt.id}: ${what}`);
  const { jobId } = jobOf(receipt);
  if ((transaction === null) !== (receipt.chargedNano === '0'))
    throw mismatch('there is a transaction if, and only if, something was charged');
  if (
    transaction !== null &&
    (transaction.kind !== 'job' || transaction.receiptId !== receipt.id || transaction.key !== jobKey(jobId))
  )
    throw mismatch('the transaction is of another job');
  if (idempotency !== null && (idempotency.receiptId !== receipt.id || idempotency.jobId !== jobId))
    throw mismatch('the idempotency record is of another job');
}

/** The balances after a transaction, of the accounts it touches. `balances` holds at least those that exist of them. */
export function balancesAfter(
  balances: ReadonlyMap<string, Nano>,
  transaction: Transaction,
): readonly (readonly [account: string, nano: Nano])[] {
  const fault = faultOf(balances, transaction);
  if (fault !== undefined) throw new StoreError(fault, `transaction ${transaction.key} is ${fault}`);
  return transaction.entries.map(({ account, amountNano }) => {
    const nano = (balances.get(account) ?? 0n) + amountNano;
    if (!inRange(nano) || !inRange(amountNano))
      throw new StoreError('out-of-range', `transaction ${transaction.key} takes ${account} out of range`);
    return [account, nano] as const;
  });
}

const inRange = (nano: Nano) => nano <= NANO_MAX && nano >= -NANO_MAX;

/** What a replay is compared by. Times are left out: those of the first stand. */
export const content = {
  receipt: (receipt: StoredReceipt) => canonicalText(receipt),
  transaction: ({ key, kind, receiptId, entries }: Transaction) =>
    canonicalText({ key, kind, receiptId, entries: entries.map(entryText).sort() }),
  account: ({ id, name, weight }: AccountRecord) => canonicalText({ id, name, weight }),
  apiKey: ({ id, hash, accountId }: ApiKeyRecord) => canonicalText({ id, hash, accountId }),
  idempotency: ({ accountId, key, requestHash, jobId, receiptId }: IdempotencyRecord) =>
    canonicalText({ accountId, key, requestHash, jobId, receiptId }),
};

const entryText = ({ account, amountNano }: Entry): Canonical & string => `${account} ${amountNano}`;

export const conflict = (what: string) =>
  new StoreError('conflict', `${what} is recorded with other content already`);

/** Lets the same content pass and refuses other. */
export function requireSame<Value>(
  what: string,
  contentOf: (value: Value) => string,
  stored: Value | undefined,
  given: Value,
): void {
  if (stored === undefined || contentOf(stored) !== contentOf(given)) throw conflict(what);
}
