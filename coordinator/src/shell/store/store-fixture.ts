/** Settlements and credits for tests, whose books balance and whose signatures are zeros. */
import { unsignedReceipt, type SegmentPlan } from '@tussah/protocol/receipt-fixture';
import type { Nano } from '@tussah/protocol/money';
import type { Receipt } from '@tussah/protocol/receipts';
import type { Identity } from '@tussah/protocol/signatures';
import { ledgerAccounts, netEntries, type Transaction } from '../../core/ledger.ts';
import type { ContributorRecord, IdempotencyRecord, Settlement, StoreWrite } from './port.ts';

/** An identity that signs nothing. */
export const namedIdentity = (n: number): Identity => ({
  publicKey: n.toString(16).padStart(64, '0'),
  privateKey: undefined as unknown as CryptoKey,
});

export const payer = 'acct_000000000000000000000001';

/** Money from the development account to a client. */
export const credit = (
  nano: Nano,
  key = 'credit:1',
  account = ledgerAccounts.client(payer),
): Transaction => ({
  key,
  kind: 'credit',
  atMs: 1,
  receiptId: null,
  entries: [
    { account: ledgerAccounts.development, amountNano: -nano },
    { account, amountNano: nano },
  ],
});

/** The transaction that belongs to a receipt; null when nothing was charged. */
export function transactionFor(receipt: Receipt): Transaction | null {
  if (receipt.chargedNano === '0') return null;
  return {
    key: `job:${receipt.jobId}`,
    kind: 'job',
    atMs: receipt.createdAtMs,
    receiptId: receipt.id,
    entries: netEntries([
      { account: ledgerAccounts.client(receipt.payer), amountNano: -BigInt(receipt.chargedNano) },
      { account: ledgerAccounts.networkFee, amountNano: BigInt(receipt.networkFeeNano) },
      ...receipt.segments.map((segment) => ({
        account: ledgerAccounts.contributor(segment.contributor),
        amountNano: BigInt(segment.payNano),
      })),
    ]),
  };
}

export function settlementOf(receipt: Receipt, idempotencyKey: string | null = null): Settlement {
  return {
    receipt,
    transaction: transactionFor(receipt),
    contributors: receipt.segments.map((segment): ContributorRecord => ({
      publicKey: segment.contributor,
      wallet: null,
      jobsDone: 1,
      jobsFailed: 0,
      tokens: segment.tokens,
      tokensPerSecond: 21.5,
    })),
    idempotency: idempotencyKey === null ? null : idempotencyFor(receipt, idempotencyKey),
  };
}

export const idempotencyFor = (receipt: Receipt, key: string): IdempotencyRecord => ({
  accountId: receipt.payer,
  key,
  requestHash: receipt.promptHash,
  jobId: receipt.jobId,
  receiptId: receipt.id,
  atMs: receipt.createdAtMs,
});

/** A job of one or more segments, by default one of 64 tokens. */
export const settlement = (
  idempotencyKey: string | null = null,
  segments: readonly Partial<SegmentPlan>[] = [{}],
): Settlement =>
  settlementOf(
    unsignedReceipt({
      coordinator: namedIdentity(1),
      payer,
      segments: segments.map((plan, i) => ({ contributor: namedIdentity(100 + i), tokens: 64, ...plan })),
    }),
    idempotencyKey,
  );

export const settle = (value: Settlement): StoreWrite => ({ kind: 'settlement', settlement: value });
export const post = (transaction: Transaction): StoreWrite => ({ kind: 'transaction', transaction });
