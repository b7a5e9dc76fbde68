/** Settlements and credits for tests, whose books balance and whose signatures are zeros. */
import { unsignedReceipt, type SegmentPlan } from '@tussah/protocol/receipt-fixture';
import type { Nano } from '@tussah/protocol/money';
import { newId } from '@tussah/protocol/ids';
import type { PrivateReceipt } from '@tussah/protocol/private/private-receipt';
import type { Receipt } from '@tussah/protocol/receipts';
import type { Identity } from '@tussah/protocol/signatures';
import { ledgerAccounts, netEntries, type Transaction } from '../../core/ledger.ts';
import type { JobCheckpoint } from '../../core/state.ts';
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

/** Of the public tier. */
export type PublicSettlement = Settlement & { readonly receipt: Receipt };

export function settlementOf(receipt: Receipt, idempotencyKey: string | null = null): PublicSettlement {
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
): PublicSettlement =>
  settlementOf(
    unsignedReceipt({
      coordinator: namedIdentity(1),
      payer,
      segments: segments.map((plan, i) => ({ contributor: namedIdentity(100 + i), tokens: 64, ...plan })),
    }),
    idempotencyKey,
  );

/** A private job of 10 and 5 tokens; its signatures are zeros. */
export function privateSettlement(change: Partial<PrivateReceipt> = {}): Settlement & {
  readonly receipt: PrivateReceipt;
} {
  const identity = namedIdentity(200).publicKey;
  const receipt: PrivateReceipt = {
    version: 1,
    id: newId('rcp'),
    createdAtMs: 1_750_000_000_000,
    tier: 'private',
    payer,
    node: {
      receipt: {
        version: 1,
        jobId: newId('job'),
        headerHash: 'ab'.repeat(32),
        bundle: 'cd'.repeat(32),
        identity,
        model: 'confidential',
        outcome: 'complete',
        promptTokens: 10,
        completionTokens: 5,
        price: { promptNanoPerMillion: '1000000', completionNanoPerMillion: '2000000' },
        chunks: 8,
        transcript: 'ef'.repeat(32),
        atMs: 1_750_000_000_000,
      },
      signature: '0'.repeat(128),
    },
    receiptKey: namedIdentity(201).publicKey,
    heldNano: '100',
    chargedNano: '20',
    networkFeeBasisPoints: 500,
    networkFeeNano: '1',
    payNano: '19',
    coordinator: namedIdentity(1).publicKey,
    signature: '0'.repeat(128),
    ...change,
  };
  return privateSettlementOf(receipt);
}

export function privateSettlementOf(
  receipt: PrivateReceipt,
): Settlement & { readonly receipt: PrivateReceipt } {
  const { identity, jobId, completionTokens: tokens } = receipt.node.receipt;
  const entries = netEntries([
    { account: ledgerAccounts.client(receipt.payer), amountNano: -BigInt(receipt.chargedNano) },
    { account: ledgerAccounts.networkFee, amountNano: BigInt(receipt.networkFeeNano) },
    { account: ledgerAccounts.contributor(identity), amountNano: BigInt(receipt.payNano) },
  ]);
  const { id: receiptId, createdAtMs: atMs } = receipt;
  return {
    receipt,
    transaction: entries.length === 0 ? null : { key: `job:${jobId}`, kind: 'job', atMs, receiptId, entries },
    contributors: [
      { publicKey: identity, wallet: null, jobsDone: 1, jobsFailed: 0, tokens, tokensPerSecond: null },
    ],
    idempotency: null,
  };
}

/** A running job of which one contributor has delivered 10 tokens and another 5 so far. */
export function checkpointFor(jobId: string, change: Partial<JobCheckpoint> = {}): JobCheckpoint {
  const part = {
    publicKey: namedIdentity(100).publicKey,
    wallet: null,
    build: 'wllama-tiny',
    profile: { engine: 'wllama', version: '3', prefix: 'text', seedBlock: 16, replay: 'bit-exact' },
    price: { promptNanoPerMillion: 1_000n, completionNanoPerMillion: 2_000n },
    firstPosition: 0,
    tokens: 10,
    billedTokens: 9,
    idsHash: 'ab'.repeat(32),
  } as const;
  return {
    request: {
      id: jobId,
      accountId: payer,
      payer: ledgerAccounts.client(payer),
      flow: payer,
      weight: 1,
      guest: false,
      stream: true,
      model: 'tiny',
      promptHash: 'cd'.repeat(32),
      sampling: { temperature: 0.7, topP: 1, presencePenalty: 0, frequencyPenalty: 0 },
      maxTokens: undefined,
      seedRoot: jobId,
      topLogprobs: null,
      maxPriceNano: 10n ** 15n,
      maxTtftMs: undefined,
      minTokensPerSecond: 0.5,
      maxWaitMs: 10_000,
      idempotency: { key: 'order-1', requestHash: 'ef'.repeat(32) },
      resumable: { requestHash: 'ef'.repeat(32) },
      receiptId: jobId.replace('job_', 'rcp_'),
    },
    promptTokens: 7,
    maxTokens: 100,
    reservedNano: 10n ** 10n,
    submittedAtMs: 5,
    segments: [{ ...part, end: 'lost', signature: null }],
    open: { ...part, publicKey: namedIdentity(101).publicKey, firstPosition: 10, tokens: 5, billedTokens: 5 },
    ...change,
  };
}

export const settle = (value: Settlement): StoreWrite => ({ kind: 'settlement', settlement: value });
export const post = (transaction: Transaction): StoreWrite => ({ kind: 'transaction', transaction });
