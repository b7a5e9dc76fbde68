/** The vault: what goes into its state, its messages, what its voucher key signs, what it tells. */
import {
  type Address,
  beginCell,
  type Builder,
  type Cell,
  type ContractProvider,
  type StateInit,
} from '@ton/core';
import type { EarningsRoot } from './earnings-tree.ts';
import { opcodes } from './opcodes.ts';

export interface VaultConfig {
  /** Replaces keys and cancels a pending root; moves no money. */
  readonly owner: Address;
  /** Proposes roots. */
  readonly publisher: Address;
  /** 32 bytes, Ed25519: signs contributors' vouchers. */
  readonly voucherKey: Buffer;
  readonly networkId: number;
  /** nanoTON that one root, or the vouchers between two roots, may add at most. */
  readonly epochCap: bigint;
  /** Seconds. */
  readonly rootDelay: number;
}

export interface VaultState {
  /** Of the final root; 0: there is none yet. */
  readonly epoch: number;
  readonly root: EarningsRoot;
  readonly received: bigint;
  readonly paidOut: bigint;
  readonly voucherSpent: bigint;
  readonly pending: { readonly hash: bigint; readonly total: bigint; readonly finalAt: number } | undefined;
}

/** Says that `owner`, who has `index`, earned `cumulative` nanoTON ever. */
export interface EarningsVoucher {
  readonly networkId: number;
  readonly vault: Address;
  readonly index: number;
  readonly owner: Address;
  readonly cumulative: bigint;
}

export function vaultStateInit(code: Cell, config: VaultConfig): StateInit {
  const fixed = beginCell()
    .storeAddress(config.owner)
    .storeAddress(config.publisher)
    .storeBuffer(config.voucherKey, 32)
    .storeInt(config.networkId, 32)
    .storeCoins(config.epochCap)
    .storeUint(config.rootDelay, 32)
    .endCell();
  const data = beginCell().storeUint(0, 32);
  storeRoot(data, { hash: 0n, depth: 0, total: 0n });
  data.storeCoins(0).storeCoins(0).storeCoins(0).storeMaybeRef(null).storeMaybeRef(null).storeMaybeRef(null);
  return { code, data: data.storeRef(fixed).endCell() };
}

const storeRoot = (builder: Builder, { hash, depth, total }: EarningsRoot): Builder =>
  builder.storeUint(hash, 256).storeUint(depth, 8).storeCoins(total);

const message = (opcode: number, queryId: bigint) => beginCell().storeUint(opcode, 32).storeUint(queryId, 64);

/** What a channel sends; from anybody else it is a gift to the contributors. */
export const channelPayment = (amount: bigint, queryId = 0n): Cell =>
  beginCell().storeUint(opcodes.ChannelPayment, 32).storeCoins(amount).storeUint(queryId, 64).endCell();

export const proposeRoot = (epoch: number, root: EarningsRoot, queryId = 0n): Cell =>
  storeRoot(message(opcodes.ProposeRoot, queryId).storeUint(epoch, 32), root).endCell();
export const cancelRoot = (queryId = 0n): Cell => message(opcodes.CancelRoot, queryId).endCell();
export const finalizeRoot = (queryId = 0n): Cell => message(opcodes.FinalizeRoot, queryId).endCell();

/** `oldProof` is of the final root, `newProof` of the pending one, both for `index`. */
export const challengeRoot = (index: number, oldProof: Cell, newProof: Cell, queryId = 0n): Cell =>
  message(opcodes.ChallengeRoot, queryId)
    .storeUint(index, 32)
    .storeRef(oldProof)
    .storeRef(newProof)
    .endCell();

/** Pays every leaf at or below the node `index >> level`: level 0 is one claim, level 7 a push of 128. */
export const payEarnings = (index: number, level: number, proof: Cell, queryId = 0n): Cell =>
  message(opcodes.PayEarnings, queryId).storeUint(index, 32).storeUint(level, 8).storeRef(proof).endCell();

/** `proof` is of the final root for the voucher's index, of absence where it has none; undefined before the first root. */
export const claimEarnings = (
  voucher: EarningsVoucher,
  signature: Buffer,
  proof: Cell | undefined,
  queryId = 0n,
): Cell =>
  message(opcodes.ClaimEarnings, queryId)
    .storeBuffer(signature, 64)
    .storeRef(voucherCell(voucher))
    .storeMaybeRef(proof ?? null)
    .endCell();

export const setKeys = (publisher: Address, voucherKey: Buffer, queryId = 0n): Cell =>
  message(opcodes.SetKeys, queryId).storeAddress(publisher).storeBuffer(voucherKey, 32).endCell();

/** 32 bytes that the voucher key signs. */
export const earningsVoucherHash = (voucher: EarningsVoucher): Buffer => voucherCell(voucher).hash();

const voucherCell = ({ networkId, vault, index, owner, cumulative }: EarningsVoucher): Cell =>
  beginCell()
    .storeUint(opcodes.EarningsVoucher, 32)
    .storeInt(networkId, 32)
    .storeAddress(vault)
    .storeUint(index, 32)
    .storeAddress(owner)
    .storeCoins(cumulative)
    .endCell();

export async function readVaultState(provider: ContractProvider): Promise<VaultState> {
  const { stack } = await provider.get('vault_state', []);
  const epoch = stack.readNumber();
  const root = { hash: stack.readBigNumber(), depth: stack.readNumber(), total: stack.readBigNumber() };
  const [received, paidOut, voucherSpent] = [
    stack.readBigNumber(),
    stack.readBigNumber(),
    stack.readBigNumber(),
  ];
  const pending = { hash: stack.readBigNumber(), total: stack.readBigNumber(), finalAt: stack.readNumber() };
  return {
    epoch,
    root,
    received,
    paidOut,
    voucherSpent,
    pending: pending.finalAt === 0 ? undefined : pending,
  };
}

export interface ClaimState {
  /** Whether the index was paid under the final root, and under the one before: what `base` of the next root needs. */
  readonly isPaid: boolean;
  readonly wasPaid: boolean;
  /** nanoTON up to which vouchers paid; 0 where none did, or a root has covered it since. */
  readonly voucherPaid: bigint;
}

export async function readClaimState(provider: ContractProvider, index: number): Promise<ClaimState> {
  const { stack } = await provider.get('claim_state', [{ type: 'int', value: BigInt(index) }]);
  const bits = stack.readNumber();
  return { isPaid: (bits & 1) === 1, wasPaid: (bits & 2) === 2, voucherPaid: stack.readBigNumber() };
}
