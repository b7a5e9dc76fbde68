/** A vault with a client's channel on a fresh chain, and the people around them, for tests. */
import { Address, beginCell, type Cell, contractAddress, type Transaction, toNano } from '@ton/core';
import { keyPairFromSeed, sign, type KeyPair } from '@ton/crypto';
import type { Blockchain, SandboxContract, TreasuryContract } from '@ton/sandbox';
import {
  channelStateInit,
  channelVoucherHash,
  claimVoucher,
  closeConsentHash,
  readChannelState,
  topUp,
  type ChannelState,
} from '../channel.ts';
import { compile } from '../compile.ts';
import type { EarningsTree } from '../earnings-tree.ts';
import { contractErrorOf, type ContractErrorName } from '../errors.ts';
import { fees } from '../fees.ts';
import {
  claimEarnings,
  channelPayment,
  earningsVoucherHash,
  finalizeRoot,
  proposeRoot,
  readVaultState,
  vaultStateInit,
  type EarningsVoucher,
  type VaultState,
} from '../vault.ts';
import { exitCodeOf, newChain } from './chain.ts';

export const NETWORK = -239;
export const CHALLENGE_PERIOD = 3600;
export const ROOT_DELAY = 7200;
export const EPOCH_CAP = toNano('50');

export const sessionKey = key(1);
export const payeeKey = key(2);
export const voucherKey = key(3);
export const wrongKey = key(4);

function key(seed: number): KeyPair {
  return keyPairFromSeed(Buffer.alloc(32, seed));
}

type Wallet = SandboxContract<TreasuryContract>;

export interface Scene {
  readonly chain: Blockchain;
  readonly client: Wallet;
  readonly owner: Wallet;
  readonly publisher: Wallet;
  /** Anybody at all: submits what others may not have to. */
  readonly relay: Wallet;
  readonly channel: Address;
  readonly vault: Address;
}

export interface SceneOptions {
  /** nanoTON deposited into the channel; 0 leaves it undeployed. */
  readonly deposit?: bigint;
  /** Left undeployed, it bounces what the channel pays. */
  readonly hasVault?: boolean;
}

export async function newScene({
  deposit = toNano('5'),
  hasVault = true,
}: SceneOptions = {}): Promise<Scene> {
  const chain = await newChain();
  const names = ['client', 'owner', 'publisher', 'relay'] as const;
  const [client, owner, publisher, relay] = await Promise.all(names.map((name) => chain.treasury(name)));
  if (client === undefined || owner === undefined || publisher === undefined || relay === undefined)
    throw new Error('a treasury is missing');
  const vaultInit = vaultStateInit(await compile('vault'), {
    owner: owner.address,
    publisher: publisher.address,
    voucherKey: voucherKey.publicKey,
    networkId: NETWORK,
    epochCap: EPOCH_CAP,
    rootDelay: ROOT_DELAY,
  });
  const vault = contractAddress(0, vaultInit);
  const channelInit = channelStateInit(await compile('channel'), {
    client: client.address,
    payee: vault,
    sessionKey: sessionKey.publicKey,
    payeeKey: payeeKey.publicKey,
    challengePeriod: CHALLENGE_PERIOD,
    networkId: NETWORK,
    salt: 7n,
  });
  const channel = contractAddress(0, channelInit);
  if (hasVault) await owner.send({ to: vault, value: toNano('1'), init: vaultInit, bounce: false });
  if (deposit > 0n)
    await client.send({ to: channel, value: deposit, init: channelInit, body: topUp(), bounce: false });
  return { chain, client, owner, publisher, relay, channel, vault };
}

export interface Sent {
  /** Without the sender's own transaction. */
  readonly transactions: readonly Transaction[];
  /** Why the contract refused; undefined where it did not. */
  readonly error: ContractErrorName | `exit ${number}` | undefined;
}

export async function send(from: Wallet, to: Address, value: bigint, body: Cell): Promise<Sent> {
  const [, ...transactions] = (await from.send({ to, value, body })).transactions;
  const exitCode = transactions[0] === undefined ? undefined : exitCodeOf(transactions[0]);
  if (exitCode === undefined || exitCode === 0) {
    const description = transactions[0]?.description;
    const action = description?.type === 'generic' ? description.actionPhase : undefined;
    const isFailed = action !== undefined && action !== null && !action.success;
    return { transactions, error: isFailed ? `exit ${action.resultCode}` : undefined };
  }
  return { transactions, error: contractErrorOf(exitCode) ?? `exit ${exitCode}` };
}

export const channelState = ({ chain, channel }: Scene): Promise<ChannelState> =>
  readChannelState(chain.provider(channel));
export const vaultState = ({ chain, vault }: Scene): Promise<VaultState> =>
  readVaultState(chain.provider(vault));

export const balanceOf = async ({ chain }: Scene, address: Address): Promise<bigint> =>
  (await chain.getContract(address)).balance;

export interface SigningOptions {
  readonly by?: KeyPair;
  readonly networkId?: number;
  readonly contract?: Address;
}

/** The client's voucher for `cumulative`, ready to be claimed. */
export function channelClaim(scene: Scene, cumulative: bigint, options: SigningOptions = {}): Cell {
  const { by = sessionKey, networkId = NETWORK, contract = scene.channel } = options;
  const hash = channelVoucherHash({ networkId, channel: contract, cumulative });
  return claimVoucher({ cumulative, signature: sign(hash, by.secretKey) });
}

export function consentSignature(scene: Scene, cumulative: bigint, options: SigningOptions = {}): Buffer {
  const { by = payeeKey, networkId = NETWORK, contract = scene.channel } = options;
  return sign(closeConsentHash({ networkId, channel: contract, cumulative }), by.secretKey);
}

/** A contributor's signed voucher, ready to be claimed. */
export function earningsClaim(
  scene: Scene,
  voucher: Pick<EarningsVoucher, 'index' | 'owner' | 'cumulative'>,
  proof?: Cell,
  { by = voucherKey, networkId = NETWORK, contract = scene.vault }: SigningOptions = {},
): Cell {
  const signed = { networkId, vault: contract, ...voucher };
  return claimEarnings(signed, sign(earningsVoucherHash(signed), by.secretKey), proof);
}

/** Credits the vault as a channel would. */
export async function fundVault(scene: Scene, amount: bigint): Promise<void> {
  await send(scene.relay, scene.vault, amount + fees.RECEIVE_COST, channelPayment(amount));
}

export async function propose(scene: Scene, tree: EarningsTree, epoch: number): Promise<Sent> {
  return send(scene.publisher, scene.vault, toNano('0.05'), proposeRoot(epoch, tree.root));
}

/** Proposes the root and finalizes it when its delay is over. */
export async function publish(scene: Scene, tree: EarningsTree, epoch: number): Promise<Sent> {
  const proposed = await propose(scene, tree, epoch);
  if (proposed.error !== undefined) return proposed;
  scene.chain.now = (scene.chain.now ?? 0) + ROOT_DELAY;
  return send(scene.relay, scene.vault, toNano('0.05'), finalizeRoot());
}

/** An address that nobody has deployed. */
export const addressOf = (index: number): Address =>
  new Address(0, beginCell().storeUint(index, 32).endCell().hash());
