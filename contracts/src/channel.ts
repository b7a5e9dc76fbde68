/** A client's channel: what goes into its state, its messages, what its client and payee sign, what it tells. */
import { type Address, beginCell, type Cell, type ContractProvider, type StateInit } from '@ton/core';
import { opcodes } from './opcodes.ts';

export interface ChannelConfig {
  readonly client: Address;
  readonly payee: Address;
  /** 32 bytes, Ed25519: signs vouchers. */
  readonly sessionKey: Buffer;
  /** 32 bytes, Ed25519: consents to a close without a challenge period. */
  readonly payeeKey: Buffer;
  /** Seconds. */
  readonly challengePeriod: number;
  /** The chain's global id: -239 on mainnet, -3 on testnet. */
  readonly networkId: number;
  /** Tells channels of one client apart. */
  readonly salt: bigint;
}

export interface ChannelState {
  readonly claimed: bigint;
  /** Unix seconds; 0 while open. */
  readonly closeAt: number;
  /** nanoTON that vouchers can still be paid from. */
  readonly spendable: bigint;
}

export interface SignedAmount {
  readonly cumulative: bigint;
  /** 64 bytes. */
  readonly signature: Buffer;
}

/** What is signed for an amount: `networkId` and the channel's address keep it from being good anywhere else. */
export interface ChannelAmount {
  readonly networkId: number;
  readonly channel: Address;
  readonly cumulative: bigint;
}

export function channelStateInit(code: Cell, config: ChannelConfig): StateInit {
  const terms = beginCell()
    .storeBuffer(config.payeeKey, 32)
    .storeUint(config.challengePeriod, 32)
    .storeInt(config.networkId, 32)
    .storeUint(config.salt, 64)
    .endCell();
  const fixed = beginCell()
    .storeAddress(config.client)
    .storeAddress(config.payee)
    .storeBuffer(config.sessionKey, 32)
    .storeRef(terms)
    .endCell();
  return { code, data: beginCell().storeCoins(0).storeUint(0, 32).storeRef(fixed).endCell() };
}

const message = (opcode: number, queryId: bigint) => beginCell().storeUint(opcode, 32).storeUint(queryId, 64);

export const topUp = (queryId = 0n): Cell => message(opcodes.TopUp, queryId).endCell();
export const startClose = (queryId = 0n): Cell => message(opcodes.StartClose, queryId).endCell();
export const finishClose = (queryId = 0n): Cell => message(opcodes.FinishClose, queryId).endCell();

/** Anybody may send it; it pays the payee. */
export const claimVoucher = ({ cumulative, signature }: SignedAmount, queryId = 0n): Cell =>
  message(opcodes.ClaimVoucher, queryId).storeCoins(cumulative).storeBuffer(signature, 64).endCell();

/** From the client, with the payee's consent: pays both and closes at once. */
export const closeTogether = ({ cumulative, signature }: SignedAmount, queryId = 0n): Cell =>
  message(opcodes.CloseTogether, queryId).storeCoins(cumulative).storeBuffer(signature, 64).endCell();

/** 32 bytes that the session key signs. */
export const channelVoucherHash = (amount: ChannelAmount): Buffer =>
  signedHash(opcodes.ChannelVoucher, amount);
/** 32 bytes that the payee's key signs. */
export const closeConsentHash = (amount: ChannelAmount): Buffer => signedHash(opcodes.CloseConsent, amount);

const signedHash = (opcode: number, { networkId, channel, cumulative }: ChannelAmount): Buffer =>
  beginCell()
    .storeUint(opcode, 32)
    .storeInt(networkId, 32)
    .storeAddress(channel)
    .storeCoins(cumulative)
    .endCell()
    .hash();

export async function readChannelState(provider: ContractProvider): Promise<ChannelState> {
  const { stack } = await provider.get('channel_state', []);
  return { claimed: stack.readBigNumber(), closeAt: stack.readNumber(), spendable: stack.readBigNumber() };
}
