/** A chain in process with the fees of today's mainnet, for tests. */
import { createRequire } from 'node:module';
import { beginCell, type Builder, Cell, Dictionary, type Message, type Transaction } from '@ton/core';
import { Blockchain } from '@ton/sandbox';

const { slimConfig } = createRequire(import.meta.url)('@ton/sandbox/dist/config/slimConfig.js') as {
  readonly slimConfig: string;
};

/** Unix seconds at which every test begins. */
export const START = 1_790_000_000;

export async function newChain(): Promise<Blockchain> {
  const chain = await Blockchain.create({ config: mainnetConfig() });
  chain.now = START;
  return chain;
}

/** Basechain prices of mainnet in 2026 over the older ones that the sandbox brings: config parameters 18, 21 and 25. */
export function mainnetConfig(): Cell {
  const config = Dictionary.loadDirect(
    Dictionary.Keys.Int(32),
    Dictionary.Values.Cell(),
    Cell.fromBase64(slimConfig),
  );
  config.set(18, storagePrices());
  config.set(21, gasPrices());
  config.set(25, forwardPrices());
  return beginCell().storeDictDirect(config).endCell();
}

function gasPrices(): Cell {
  const flat = beginCell().storeUint(0xd1, 8).storeUint(100, 64).storeUint(6667, 64);
  const [price, limit, special, credit, block, freeze, remove] = [
    4_369_067, 1_000_000, 1_000_000, 10_000, 10_000_000, 100_000_000, 1_000_000_000,
  ];
  flat.storeUint(0xde, 8);
  for (const value of [price, limit, special, credit, block, freeze, remove]) flat.storeUint(value, 64);
  return flat.endCell();
}

function forwardPrices(): Cell {
  const prices = beginCell().storeUint(0xea, 8);
  for (const value of [66_667, 4_369_067, 436_906_667]) prices.storeUint(value, 64);
  return prices.storeUint(98_304, 32).storeUint(21_845, 16).storeUint(21_845, 16).endCell();
}

function storagePrices(): Cell {
  const entry = (since: number, bit: number, cell: number): Cell =>
    beginCell()
      .storeUint(0xcc, 8)
      .storeUint(since, 32)
      .storeUint(bit, 64)
      .storeUint(cell, 64)
      .storeUint(1000, 64)
      .storeUint(500_000, 64)
      .endCell();
  const prices = Dictionary.empty(Dictionary.Keys.Uint(32), {
    serialize: (value: Cell, builder: Builder) => void builder.storeSlice(value.beginParse()),
    parse: (): Cell => {
      throw new Error('only written');
    },
  });
  prices.set(0, entry(0, 1, 500));
  prices.set(1_777_500_000, entry(1_777_500_000, 0, 135));
  return beginCell().storeDictDirect(prices).endCell();
}

/** The VM's exit code; undefined where it did not run. */
export function exitCodeOf({ description }: Transaction): number | undefined {
  if (description.type !== 'generic' || description.computePhase.type !== 'vm') return undefined;
  return description.computePhase.exitCode;
}

export function gasOf({ description }: Transaction): number {
  if (description.type !== 'generic' || description.computePhase.type !== 'vm') return 0;
  return Number(description.computePhase.gasUsed);
}

/** nanoTON that the network took for these transactions and for the messages they sent. */
export function networkFee(transactions: readonly Transaction[]): bigint {
  let fee = 0n;
  for (const transaction of transactions) {
    fee += transaction.totalFees.coins;
    for (const message of transaction.outMessages.values()) fee += forwardFeeOf(message);
  }
  return fee;
}

const forwardFeeOf = ({ info }: Message): bigint => (info.type === 'internal' ? info.forwardFee : 0n);

/** Distinct cells below and including `root`: what rent is paid for. */
export function cellsOf(root: Cell, seen = new Set<string>()): number {
  const hash = root.hash().toString('hex');
  if (seen.has(hash)) return 0;
  seen.add(hash);
  return 1 + root.refs.reduce((count, ref) => count + cellsOf(ref, seen), 0);
}
