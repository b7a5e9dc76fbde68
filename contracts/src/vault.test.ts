import { beginCell, toNano } from '@ton/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { buildEarningsTree, proveEarnings, type EarningsLeaf, type EarningsTree } from './earnings-tree.ts';
import { fees } from './fees.ts';
import {
  addressOf,
  balanceOf,
  earningsClaim,
  EPOCH_CAP,
  fundVault,
  newScene,
  propose,
  publish,
  ROOT_DELAY,
  send,
  vaultState,
  wrongKey,
  type Scene,
} from './testing/scene.ts';
import {
  cancelRoot,
  challengeRoot,
  channelPayment,
  finalizeRoot,
  payEarnings,
  proposeRoot,
  readClaimState,
  setKeys,
} from './vault.ts';

const gas = toNano('0.2');
const unit = toNano('0.1');
let scene: Scene;

beforeEach(async () => {
  scene = await newScene({ deposit: 0n });
  await fundVault(scene, toNano('40'));
});

const leaf = (index: number, units: number, change: Partial<EarningsLeaf> = {}): EarningsLeaf => ({
  cumulative: BigInt(units) * unit,
  previous: 0n,
  base: 0n,
  owner: addressOf(index),
  ...change,
});
/** Index i earned `units[i]`; 0 is nobody. */
const treeOf = (...units: number[]) =>
  buildEarningsTree(units.map((amount, i) => (amount === 0 ? undefined : leaf(i, amount))));
const pay = (tree: EarningsTree, index: number, level = 0, from = scene.relay, value = gas) =>
  send(from, scene.vault, value, payEarnings(index, level, proveEarnings(tree, index, level)));
const earned = (index: number) => balanceOf(scene, addressOf(index));
const call = (from: typeof scene.relay, body: ReturnType<typeof cancelRoot>, value = gas) =>
  send(from, scene.vault, value, body);

describe('a final root', () => {
  const tree = treeOf(3, 4, 0, 5, 6);
  beforeEach(async () => {
    await publish(scene, tree, 1);
  });

  test('pays an owner once, whoever submits the proof', async () => {
    expect((await vaultState(scene)).epoch).toBe(1);
    expect((await pay(tree, 1)).error).toBeUndefined();
    expect(await earned(1)).toBe(4n * unit);
    expect((await pay(tree, 1)).error).toBe('NOTHING_NEW');
    expect(await earned(1)).toBe(4n * unit);
    expect((await vaultState(scene)).paidOut).toBe(4n * unit);
  });

  test('a push pays everybody once, also after a claim', async () => {
    await pay(tree, 3);
    expect((await pay(tree, 0, 3)).error).toBeUndefined();
    expect(await Promise.all([0, 1, 2, 3, 4].map(earned))).toEqual([3n, 4n, 0n, 5n, 6n].map((n) => n * unit));
    expect((await pay(tree, 0, 7)).error).toBe('NOTHING_NEW');
    expect((await pay(tree, 4)).error).toBe('NOTHING_NEW');
  });

  test('a push may pay a part', async () => {
    await pay(tree, 3, 1);
    expect(await Promise.all([1, 3, 4].map(earned))).toEqual([0n, 5n * unit, 0n]);
  });

  test('refuses proofs of another root, no proofs, indices of nobody and too large batches', async () => {
    expect((await pay(treeOf(9, 9, 0, 9, 9), 1)).error).toBe('OTHER_ROOT');
    const plain = beginCell().storeUint(3, 8).endCell();
    expect((await call(scene.relay, payEarnings(1, 0, plain))).error).toBe('NOT_A_PROOF');
    expect((await call(scene.relay, payEarnings(8, 0, proveEarnings(tree, 0)))).error).toBe('NO_LEAF');
    expect((await pay(tree, 2)).error).toBe('NO_LEAF');
    expect((await pay(tree, 0, 8)).error).toBe('BATCH_TOO_LARGE');
  });

  test('refuses a proof that leaves out the leaf', async () => {
    const { error } = await call(scene.relay, payEarnings(1, 0, proveEarnings(tree, 4)));
    expect(error).toMatch(/^exit \d+$/);
    expect(await earned(1)).toBe(0n);
  });

  test('needs fees for every payment, and takes no contributor’s money for them', async () => {
    const before = await balanceOf(scene, scene.vault);
    expect((await pay(tree, 0, 3, scene.relay, fees.PAY_VALUE)).error).toBe('LOW_VALUE');
    expect(
      (await pay(tree, 0, 3, scene.relay, fees.PAY_VALUE + 4n * fees.PAY_VALUE_EACH)).error,
    ).toBeUndefined();
    expect(await balanceOf(scene, scene.vault)).toBeGreaterThanOrEqual(before - 18n * unit);
  });

  test('an owner who claims by himself gets all of it in one message', async () => {
    const own = leaf(0, 20, { previous: 3n * unit, owner: scene.relay.address });
    const next = buildEarningsTree([own]);
    await publish(scene, next, 2);
    const { transactions, error } = await pay(next, 0);
    expect(error).toBeUndefined();
    const messages = [...transactions[0]!.outMessages.values()];
    expect(messages).toHaveLength(1);
    const value = messages[0]?.info.type === 'internal' ? messages[0].info.value.coins : 0n;
    expect(value).toBeGreaterThan(20n * unit);
    expect((await vaultState(scene)).paidOut).toBe(20n * unit);
    expect((await pay(next, 0)).error).toBe('NOTHING_NEW');
  });

  test('what its owner did not claim goes on into the next', async () => {
    await pay(tree, 0);
    const next = buildEarningsTree([
      leaf(0, 5, { previous: 3n * unit }),
      leaf(1, 7, { previous: 4n * unit }),
      undefined,
      leaf(3, 5, { previous: 5n * unit }),
      leaf(4, 6, { previous: 6n * unit }),
    ]);
    await publish(scene, next, 2);
    expect((await pay(tree, 1)).error).toBe('OTHER_ROOT');
    await pay(next, 0, 3);
    expect(await Promise.all([0, 1, 3, 4].map(earned))).toEqual([5n, 7n, 5n, 6n].map((n) => n * unit));
  });
});

describe('a root', () => {
  test('is proposed by the publisher, in turn, one at a time, with its fees', async () => {
    const { root } = treeOf(1);
    expect((await call(scene.relay, proposeRoot(1, root))).error).toBe('NOT_ALLOWED');
    expect((await call(scene.publisher, proposeRoot(2, root))).error).toBe('WRONG_EPOCH');
    expect((await call(scene.publisher, proposeRoot(1, root), fees.VAULT_CALL_VALUE - 1n)).error).toBe(
      'LOW_VALUE',
    );
    expect((await call(scene.publisher, proposeRoot(1, { ...root, depth: 25 }))).error).toBe('TREE_TOO_DEEP');
    expect((await call(scene.publisher, proposeRoot(1, root))).error).toBeUndefined();
    expect((await call(scene.publisher, proposeRoot(1, root))).error).toBe('ROOT_PENDING');
  });

  test('adds no more than the cap, owes no more than was received, and never falls', async () => {
    const { root } = treeOf(10);
    await publish(scene, treeOf(10), 1);
    const attempt = (total: bigint) => call(scene.publisher, proposeRoot(2, { ...root, total }));
    expect((await attempt(root.total - 1n)).error).toBe('TOTAL_LOWER');
    expect((await attempt(root.total + EPOCH_CAP + 1n)).error).toBe('OVER_CAP');
    expect((await attempt(toNano('40') + 1n)).error).toBe('OVER_RECEIVED');
    expect((await attempt(toNano('40'))).error).toBeUndefined();
  });

  test('becomes final after its delay, by anybody', async () => {
    expect((await call(scene.relay, finalizeRoot())).error).toBe('NO_ROOT_PENDING');
    await propose(scene, treeOf(1), 1);
    scene.chain.now! += ROOT_DELAY - 1;
    expect((await call(scene.relay, finalizeRoot())).error).toBe('TOO_EARLY');
    scene.chain.now! += 1;
    expect((await call(scene.relay, finalizeRoot(), fees.VAULT_CALL_VALUE - 1n)).error).toBe('LOW_VALUE');
    expect((await call(scene.relay, finalizeRoot())).error).toBeUndefined();
    expect(await vaultState(scene)).toMatchObject({ epoch: 1, pending: undefined });
  });

  test('is cancelled by owner and publisher only', async () => {
    expect((await call(scene.owner, cancelRoot())).error).toBe('NO_ROOT_PENDING');
    for (const who of [scene.owner, scene.publisher]) {
      await propose(scene, treeOf(1), 1);
      expect((await call(scene.relay, cancelRoot())).error).toBe('NOT_ALLOWED');
      expect((await call(who, cancelRoot(), fees.VAULT_CALL_VALUE - 1n)).error).toBe('LOW_VALUE');
      expect((await call(who, cancelRoot())).error).toBeUndefined();
      expect((await vaultState(scene)).pending).toBeUndefined();
    }
  });

  test('whose sums lie pays nobody', async () => {
    const tree = treeOf(3, 4);
    const lying = { ...tree, root: { ...tree.root, total: 2n * unit } };
    await publish(scene, lying, 1);
    expect((await pay(lying, 0)).error).toBe('BROKEN_SUM');
    expect((await pay(lying, 1)).error).toBe('BROKEN_SUM');
    expect((await pay(lying, 0, 1)).error).toBe('BROKEN_SUM');
  });
});

describe('a challenge', () => {
  const old = treeOf(3, 4);
  const kept = leaf(0, 3, { previous: 3n * unit, base: 0n });
  const other = leaf(1, 30, { previous: 4n * unit });
  const challenge = (next: EarningsTree, index = 0, value = gas) =>
    call(scene.relay, challengeRoot(index, proveEarnings(old, index), proveEarnings(next, index)), value);
  beforeEach(async () => {
    await publish(scene, old, 1);
  });

  test.each<[string, EarningsLeaf | undefined]>([
    ['less', { ...kept, cumulative: kept.cumulative - 1n }],
    ['nothing', undefined],
    ['another owner', { ...kept, owner: addressOf(9) }],
    ['another last amount', { ...kept, previous: kept.previous - 1n }],
    ['more settled than was', { ...kept, base: 1n }],
  ])('cancels a root that gives an index %s', async (_, changed) => {
    const next = buildEarningsTree([changed, other]);
    expect((await propose(scene, next, 2)).error).toBeUndefined();
    expect((await challenge(next)).error).toBeUndefined();
    expect((await vaultState(scene)).pending).toBeUndefined();
  });

  test('cannot cancel a root that carries the leaf on', async () => {
    const next = buildEarningsTree([kept, other]);
    await propose(scene, next, 2);
    expect((await challenge(next)).error).toBe('NOT_WORSE');
    expect((await challenge(next, 0, fees.VAULT_CALL_VALUE - 1n)).error).toBe('LOW_VALUE');
    expect((await challenge(next, 1)).error).toBe('NOT_WORSE');
    expect((await vaultState(scene)).pending).toBeDefined();
  });

  test('knows what was settled meanwhile', async () => {
    await pay(old, 0);
    await publish(scene, buildEarningsTree([kept, other]), 2);
    const before = buildEarningsTree([kept, other]);
    const third = (base: bigint) =>
      buildEarningsTree([leaf(0, 3, { previous: 3n * unit, base }), leaf(1, 30, { previous: 30n * unit })]);
    const attempt = (next: EarningsTree, index: number) =>
      call(scene.relay, challengeRoot(index, proveEarnings(before, index), proveEarnings(next, index)));
    await propose(scene, third(3n * unit), 3);
    expect((await attempt(third(3n * unit), 0)).error).toBe('NOT_WORSE');
    await call(scene.publisher, cancelRoot());
    await propose(scene, third(0n), 3);
    expect((await attempt(third(0n), 0)).error).toBeUndefined();
  });

  test('needs a pending root and proofs of the two roots', async () => {
    const next = buildEarningsTree([kept, other]);
    expect((await challenge(next)).error).toBe('NO_ROOT_PENDING');
    await propose(scene, next, 2);
    const swapped = challengeRoot(0, proveEarnings(next, 0), proveEarnings(old, 0));
    expect((await call(scene.relay, swapped)).error).toBe('OTHER_ROOT');
    expect(
      (await call(scene.relay, challengeRoot(5, proveEarnings(old, 0), proveEarnings(next, 0)))).error,
    ).toBe('NO_LEAF');
  });
});

describe('a contributor’s voucher', () => {
  const voucher = (index: number, units: number) => ({
    index,
    owner: addressOf(index),
    cumulative: BigInt(units) * unit,
  });
  const claim = (index: number, units: number, tree?: EarningsTree, options = {}, value = gas) => {
    const proof = tree === undefined ? undefined : proveEarnings(tree, index);
    return send(scene.relay, scene.vault, value, earningsClaim(scene, voucher(index, units), proof, options));
  };

  test('pays its owner before the first root, once', async () => {
    expect((await claim(5, 2)).error).toBeUndefined();
    expect((await claim(5, 2)).error).toBe('NOTHING_NEW');
    expect((await claim(5, 3)).error).toBeUndefined();
    expect((await claim(5, 2)).error).toBe('NOTHING_NEW');
    expect(await earned(5)).toBe(3n * unit);
  });

  test.each([
    ['another key', { by: wrongKey }],
    ['another network', { networkId: -3 }],
    ['another vault', { contract: addressOf(77) }],
  ])('of %s is refused', async (_, options) => {
    expect((await claim(0, 2, undefined, options)).error).toBe('BAD_SIGNATURE');
  });

  test('and a root never pay the same twice, in either order', async () => {
    await claim(0, 2);
    const tree = treeOf(3, 4);
    await publish(scene, tree, 1);
    await pay(tree, 0);
    expect(await earned(0)).toBe(3n * unit);
    expect((await readClaimState(scene.chain.provider(scene.vault), 0)).voucherPaid).toBe(0n);
    await claim(1, 6, tree);
    expect(await earned(1)).toBe(6n * unit);
    expect((await pay(tree, 1)).error).toBe('NOTHING_NEW');
    expect((await claim(0, 3, tree)).error).toBe('NOTHING_NEW');
    await claim(0, 4, tree);
    expect(await earned(0)).toBe(4n * unit);
  });

  test('above a root stays paid under the next', async () => {
    const tree = treeOf(3, 4);
    await publish(scene, tree, 1);
    await claim(1, 6, tree);
    const next = buildEarningsTree([
      leaf(0, 3, { previous: 3n * unit }),
      leaf(1, 7, { previous: 4n * unit }),
    ]);
    await publish(scene, next, 2);
    await pay(next, 0, 1);
    expect(await earned(1)).toBe(7n * unit);
  });

  test('needs a proof once there is a root, for the leaf’s owner, and its fees', async () => {
    const tree = treeOf(3, 4);
    await publish(scene, tree, 1);
    expect((await claim(0, 5)).error).toBe('NOT_A_PROOF');
    const stranger = { ...voucher(0, 5), owner: addressOf(9) };
    const body = earningsClaim(scene, stranger, proveEarnings(tree, 0));
    expect((await call(scene.relay, body)).error).toBe('OTHER_OWNER');
    const least = fees.PAY_VALUE + fees.PAY_VALUE_EACH + fees.VOUCHER_RENT;
    expect((await claim(0, 5, tree, {}, least - 1n)).error).toBe('LOW_VALUE');
    expect((await claim(0, 5, tree, {}, least)).error).toBeUndefined();
  });

  test('of an index that the root does not have is paid', async () => {
    const tree = treeOf(3, 0);
    await publish(scene, tree, 1);
    expect((await claim(1, 2, tree)).error).toBeUndefined();
    expect((await claim(6, 2, tree)).error).toBeUndefined();
    expect([await earned(1), await earned(6)]).toEqual([2n * unit, 2n * unit]);
  });

  test('of a stolen key takes one cap until the next root is final, and nothing that the root owes', async () => {
    await fundVault(scene, toNano('40'));
    expect((await claim(5, 501)).error).toBe('OVER_CAP');
    await claim(5, 500);
    expect((await claim(6, 1)).error).toBe('OVER_CAP');
    const tree = treeOf(250);
    await publish(scene, tree, 1);
    await claim(7, 10, tree);
    expect((await claim(8, 450, tree)).error).toBe('OVER_RECEIVED');
    expect((await pay(tree, 0)).error).toBeUndefined();
  });
});

describe('the vault', () => {
  test('counts what arrived net of its gas, whatever the body says', async () => {
    const { received } = await vaultState(scene);
    const body = channelPayment(toNano('1000'));
    await call(scene.relay, body, fees.RECEIVE_COST + 1n);
    expect((await vaultState(scene)).received).toBe(received + 1n);
    expect((await call(scene.relay, body, fees.RECEIVE_COST)).error).toBe('LOW_VALUE');
  });

  test('counts a plain transfer as reserve only; an unknown message is refused', async () => {
    const { received } = await vaultState(scene);
    await call(scene.relay, beginCell().endCell());
    expect((await vaultState(scene)).received).toBe(received);
    expect((await call(scene.relay, beginCell().storeUint(1, 32).endCell())).error).toBe('UNKNOWN_MESSAGE');
  });

  test('gives its owner new keys, and nobody else', async () => {
    const body = setKeys(scene.relay.address, wrongKey.publicKey);
    expect((await call(scene.publisher, body)).error).toBe('NOT_ALLOWED');
    expect((await call(scene.owner, body, fees.VAULT_CALL_VALUE - 1n)).error).toBe('LOW_VALUE');
    expect((await call(scene.owner, body)).error).toBeUndefined();
    expect((await call(scene.publisher, proposeRoot(1, treeOf(1).root))).error).toBe('NOT_ALLOWED');
    expect((await call(scene.relay, proposeRoot(1, treeOf(1).root))).error).toBeUndefined();
    const voucher = { index: 0, owner: addressOf(0), cumulative: unit };
    expect((await call(scene.relay, earningsClaim(scene, voucher))).error).toBe('BAD_SIGNATURE');
    const renewed = earningsClaim(scene, voucher, undefined, { by: wrongKey });
    expect((await call(scene.relay, renewed)).error).toBeUndefined();
  });

  test('keeps its storage reserve until somebody funds its rent again', async () => {
    const tree = treeOf(400);
    await publish(scene, tree, 1);
    const poor = await scene.chain.getContract(scene.vault);
    poor.balance = toNano('40');
    expect((await pay(tree, 0)).error).toBe('RESERVE');
    await call(scene.relay, beginCell().endCell(), toNano('0.2'));
    expect((await pay(tree, 0)).error).toBeUndefined();
    expect(await earned(0)).toBe(toNano('40'));
  });
});
