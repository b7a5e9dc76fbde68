/** What random histories need: messages without a wallet in between, and how many steps to take. */
import { type Address, type Cell, type Transaction } from '@ton/core';
import { type Blockchain, internal } from '@ton/sandbox';
import { exitCodeOf } from './chain.ts';

/** Histories a test and steps a history; TUSSAH_DEEP=1 takes twenty times as many. */
export const HISTORIES = 110 * (process.env['TUSSAH_DEEP'] === '1' ? 20 : 1);
export const STEPS = 50;
export const TIMEOUT_MS = process.env['TUSSAH_DEEP'] === '1' ? 1_500_000 : 120_000;

export interface Delivery {
  readonly from: Address;
  readonly to: Address;
  readonly value: bigint;
  readonly body: Cell;
  readonly bounce?: boolean;
}

/** Delivers a message and all that follows from it. Returns whether its receiver carried it out. */
export async function deliver(chain: Blockchain, { bounce = true, ...message }: Delivery): Promise<boolean> {
  const { transactions } = await chain.sendMessage(internal({ ...message, bounce }));
  const [first] = transactions;
  return first !== undefined && succeeded(first);
}

function succeeded(transaction: Transaction): boolean {
  const { description } = transaction;
  if (description.type !== 'generic' || exitCodeOf(transaction) !== 0) return false;
  return description.actionPhase?.success === true;
}

/** The account's data cell, without running a getter. */
export async function dataOf(chain: Blockchain, address: Address): Promise<Cell> {
  const { accountState } = await chain.getContract(address);
  const data = accountState?.type === 'active' ? accountState.state.data : undefined;
  if (data === undefined || data === null) throw new Error('the account is not active');
  return data;
}
