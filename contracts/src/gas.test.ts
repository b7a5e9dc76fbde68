/**
 * What every operation costs: gas of the contracts, and nanoTON that the network takes without the sender's own wallet.
 * ../gas.json has the most that each may cost; TUSSAH_UPDATE_GAS=1 rewrites it.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { toNano } from '@ton/core';
import { afterAll, expect, test } from 'vitest';
import { closeTogether, finishClose, startClose, topUp } from './channel.ts';
import { compile } from './compile.ts';
import { buildEarningsTree, proveEarnings, type EarningsTree } from './earnings-tree.ts';
import { fees } from './fees.ts';
import { cellsOf, gasOf, networkFee } from './testing/chain.ts';
import { dataOf } from './testing/histories.ts';
import {
  addressOf,
  CHALLENGE_PERIOD,
  channelClaim,
  consentSignature,
  earningsClaim,
  fundVault,
  newScene,
  propose,
  publish,
  send,
  type Scene,
  type Sent,
} from './testing/scene.ts';
import { challengeRoot, payEarnings } from './vault.ts';

interface Cost {
  readonly gas: number;
  readonly feeNano: number;
}

const path = join(import.meta.dirname, '../gas.json');
const isUpdate = process.env['TUSSAH_UPDATE_GAS'] === '1';
type Figures = Readonly<Record<string, number>>;
const snapshot = JSON.parse(readFileSync(path, 'utf8')) as Readonly<Record<string, Figures>>;
const measured: Record<string, Figures> = {};
const gas = toNano('0.5');

function note(name: string, { transactions, error }: Sent, payments = 1): Cost {
  expect(error).toBeUndefined();
  const cost = {
    gas: Math.ceil(transactions.reduce((sum, transaction) => sum + gasOf(transaction), 0) / payments),
    feeNano: Math.ceil(Number(networkFee(transactions)) / payments),
  };
  keep(name, { ...cost });
  return cost;
}

/** Rent of the seconds that passed moves fees by a few nanoTON. */
const tolerance: Figures = { feeNano: 2000 };

function keep(name: string, figures: Figures): void {
  measured[name] = figures;
  if (isUpdate) return;
  for (const [key, value] of Object.entries(figures))
    expect(value, `${key} of ${name}`).toBeLessThanOrEqual(
      (snapshot[name]?.[key] ?? 0) + (tolerance[key] ?? 0),
    );
}

afterAll(() => {
  if (isUpdate) writeFileSync(path, `${JSON.stringify(measured, null, 2)}\n`);
});

test('a channel', { timeout: 30_000 }, async () => {
  const scene = await newScene();
  const { client, relay, channel } = scene;
  const topUpCost = note('channel: top-up', await send(client, channel, toNano('1'), topUp()));
  expect(topUpCost.feeNano).toBeLessThanOrEqual(80_000);
  note('channel: claim a voucher', await send(relay, channel, gas, channelClaim(scene, toNano('1'))));
  note('channel: start a close', await send(client, channel, gas, startClose()));
  scene.chain.now! += CHALLENGE_PERIOD;
  note('channel: finish a close', await send(relay, channel, gas, finishClose()));
});

test('a close together', { timeout: 30_000 }, async () => {
  const scene = await newScene();
  const cumulative = toNano('1');
  const body = closeTogether({ cumulative, signature: consentSignature(scene, cumulative) });
  const cost = note('channel: close together', await send(scene.client, scene.channel, gas, body));
  expect(cost.gas).toBeGreaterThan(0);
});

/** With `dropped`, the tree of the next epoch, wrongly without that index. */
function leavesOf(count: number, scene: Scene, dropped?: number): EarningsTree {
  return buildEarningsTree(
    Array.from({ length: count }, (_, i) => {
      if (i === dropped) return undefined;
      const earned = 200_000n + BigInt(i);
      return {
        cumulative: dropped === undefined ? earned : earned + 1000n,
        previous: dropped === undefined ? 0n : earned,
        base: 0n,
        // One owner in four hundred has a wallet on the chain: the one who claims.
        owner: i % 400 === 399 ? scene.relay.address : addressOf(i),
      };
    }),
  );
}

/** Touches every chunk of 256 indices, so that the vault's bits have their full size. */
async function touchAllChunks(scene: Scene, tree: EarningsTree, count: number): Promise<void> {
  for (let i = 0; i < count; i += 256)
    await send(scene.relay, scene.vault, gas, payEarnings(i, 0, proveEarnings(tree, i)));
}

const pay = (scene: Scene, tree: EarningsTree, index: number, level: number) =>
  send(scene.relay, scene.vault, gas, payEarnings(index, level, proveEarnings(tree, index, level)));

test.each([1000, 100_000])('the vault with %d contributors', { timeout: 120_000 }, async (count) => {
  const scene = await newScene();
  await fundVault(scene, toNano('45'));
  const tree = leavesOf(count, scene);
  const name = `vault, ${count} contributors`;
  note(`${name}: finalize a root`, await publish(scene, tree, 1));
  await touchAllChunks(scene, tree, count);
  const own = [];
  for (let index = 399; index < Math.min(count, 20_000); index += 1200)
    own.push(note(`${name}: own claim`, await pay(scene, tree, index, 0)));
  const worst = own.reduce((a, b) => (a.feeNano > b.feeNano ? a : b));
  keep(`${name}: own claim`, { ...worst });
  note(`${name}: claim for another`, await pay(scene, tree, 300, 0));
  const pushed = await pay(scene, tree, 512, 7);
  const payments = pushed.transactions[0]!.outMessages.size - 1;
  expect(payments).toBeGreaterThan(100);
  expect(note(`${name}: push of 128, each`, pushed, payments).feeNano).toBeLessThanOrEqual(450_000);
  const voucher = { index: 130, owner: addressOf(130), cumulative: 300_000n };
  const claim = earningsClaim(scene, voucher, proveEarnings(tree, 130));
  note(`${name}: claim by voucher`, await send(scene.relay, scene.vault, gas, claim));
  const dropped = leavesOf(count, scene, 5);
  note(`${name}: propose a root`, await propose(scene, dropped, 2));
  const challenge = challengeRoot(5, proveEarnings(tree, 5), proveEarnings(dropped, 5));
  note(`${name}: challenge a root`, await send(scene.relay, scene.vault, gas, challenge));
});

test('code and rent', { timeout: 30_000 }, async () => {
  const scene = await newScene();
  for (const name of ['channel', 'vault'] as const)
    keep(`${name}: code`, { cells: cellsOf(await compile(name)) });
  const cells = cellsOf(await compile('channel')) + cellsOf(await dataOf(scene.chain, scene.channel));
  const perYearNano = (BigInt(cells) * 135n * 31_536_000n) >> 16n;
  expect(fees.CHANNEL_RESERVE / perYearNano).toBeGreaterThanOrEqual(10n);
});
