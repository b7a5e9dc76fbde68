/**
 * The double-entry ledger, pure. Every transaction's entries sum to zero, so the sum over all accounts is zero at all
 * times. A positive balance is money the network holds for the account's owner. Only `world:` accounts, the other side of
 * money that enters or leaves, may be negative.
 */
import type { Nano } from '@tussah/protocol/money';

export interface Entry {
  readonly account: string;
  /** Positive: the account gets it; negative: it pays. Never zero. */
  readonly amountNano: Nano;
}

export interface Transaction {
  /** Unique: a transaction with a key seen before changes nothing. `job:<job id>` for jobs. */
  readonly key: string;
  readonly kind: 'job' | 'credit';
  readonly atMs: number;
  /** The receipt it settles; null for kinds other than `job`. */
  readonly receiptId: string | null;
  readonly entries: readonly Entry[];
}

export const ledgerAccounts = {
  client: (accountId: string) => `client:${accountId}`,
  contributor: (publicKey: string) => `contributor:${publicKey}`,
  /** Pays for guests; filled by the operator beforehand. */
  guests: 'operator:guests',
  networkFee: 'operator:fees',
  /** Credit that an operator granted without money behind it, in development. */
  development: 'world:development',
} as const;

export type TransactionFault = 'empty' | 'unbalanced' | 'zero-entry' | 'repeated-account' | 'overdrawn';

const mayBeNegative = (account: string) => account.startsWith('world:');

export type Balances = Map<string, Nano>;

/** Why a transaction can't be applied to these balances; undefined when it can. */
export function faultOf(
  balances: ReadonlyMap<string, Nano>,
  transaction: Transaction,
): TransactionFault | undefined {
  const { entries } = transaction;
  if (entries.length < 2) return 'empty';
  if (entries.some((entry) => entry.amountNano === 0n)) return 'zero-entry';
  if (new Set(entries.map((entry) => entry.account)).size !== entries.length) return 'repeated-account';
  if (entries.reduce((sum, entry) => sum + entry.amountNano, 0n) !== 0n) return 'unbalanced';
  const overdrawn = entries.some(
    ({ account, amountNano }) =>
      amountNano < 0n && !mayBeNegative(account) && (balances.get(account) ?? 0n) + amountNano < 0n,
  );
  return overdrawn ? 'overdrawn' : undefined;
}

/** Applies a transaction in place. Throws on a fault: by then it is a bug of ours. */
export function apply(balances: Balances, transaction: Transaction): void {
  const fault = faultOf(balances, transaction);
  if (fault !== undefined) throw new Error(`ledger transaction ${transaction.key} is ${fault}`);
  for (const { account, amountNano } of transaction.entries)
    balances.set(account, (balances.get(account) ?? 0n) + amountNano);
}

/** Joins entries of the same account and drops what comes to nothing. */
export function netEntries(entries: readonly Entry[]): Entry[] {
  const net = new Map<string, Nano>();
  for (const { account, amountNano } of entries) net.set(account, (net.get(account) ?? 0n) + amountNano);
  return [...net]
    .filter(([, amountNano]) => amountNano !== 0n)
    .map(([account, amountNano]) => ({ account, amountNano }));
}
