/**
 * Random histories of a vault with an honest and a lying publisher: owners never get more than roots and vouchers said,
 * nothing is paid twice, the vault always holds what it owes, and whoever is in the final root can claim.
 */
import { toNano } from '@ton/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { buildEarningsTree, proveEarnings, type EarningsLeaf, type EarningsTree } from './earnings-tree.ts';
import { fees } from './fees.ts';
import { dataOf, deliver, HISTORIES, STEPS, TIMEOUT_MS } from './testing/histories.ts';
import {
  addressOf,
  balanceOf,
  earningsClaim,
  EPOCH_CAP,
  newScene,
  ROOT_DELAY,
  wrongKey,
  type Scene,
} from './testing/scene.ts';
import { challengeRoot, channelPayment, finalizeRoot, payEarnings, proposeRoot } from './vault.ts';

const PEOPLE = 5;
const gas = toNano('0.05');
const index = fc.integer({ min: 0, max: PEOPLE - 1 });
// Now and then more than the cap, after which no root can say all that was earned.
const amount = fc.oneof(
  { weight: 40, arbitrary: fc.bigInt(1n, toNano('1')) },
  { weight: 1, arbitrary: fc.constant(EPOCH_CAP + 1n) },
);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('earn'), index, amount }) },
  {
    weight: 7,
    arbitrary: fc.record({
      kind: fc.constant('pay'),
      index,
      level: fc.constantFrom(0, 0, 1, 3),
      isOld: fc.boolean(),
      value: fc.constantFrom(gas, fees.PAY_VALUE),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('voucher'),
      index,
      part: fc.constantFrom(100n, 100n, 50n, 101n),
      signing: fc.constantFrom('good', 'good', 'key', 'network'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('propose'),
      lie: fc.constantFrom('none', 'none', 'lower', 'drop', 'base', 'owner'),
      index,
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('finalize'), isWaiting: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fund'), amount }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

interface Person {
  earned: bigint;
  /** What the contracts were told to pay at most: by a final root or a good voucher. */
  promised: bigint;
  paid: bigint;
  voucherPaid: bigint;
  isPaid: boolean;
  wasPaid: boolean;
}

interface Model {
  people: Person[];
  epoch: number;
  received: bigint;
  voucherSpent: bigint;
  final: Root | undefined;
  old: Root | undefined;
  pending: Root | undefined;
}

interface Root {
  readonly tree: EarningsTree;
  readonly leaves: readonly (EarningsLeaf | undefined)[];
}

/** The leaves that an honest publisher derives from what everybody earned and the chain's bits. */
const honestLeaves = ({ people, final }: Model): (EarningsLeaf | undefined)[] =>
  people.map(({ earned, wasPaid }, i) => {
    const old = final?.leaves[i];
    if (earned === 0n) return undefined;
    return {
      cumulative: earned,
      previous: old?.cumulative ?? 0n,
      base: (wasPaid ? old?.previous : old?.base) ?? 0n,
      owner: addressOf(i),
    };
  });

function lieAbout(leaf: EarningsLeaf, lie: string): EarningsLeaf | undefined {
  if (lie === 'lower') return { ...leaf, cumulative: leaf.previous - 1n };
  if (lie === 'base') return { ...leaf, base: leaf.base + 1n };
  if (lie === 'owner') return { ...leaf, owner: addressOf(99) };
  return lie === 'drop' ? undefined : leaf;
}

/** What really happened, over all histories: a model that only sees refusals proves little. */
const happened = { paid: 0, claimed: 0, finalized: 0, cancelled: 0 };

async function take(scene: Scene, model: Model, step: Step): Promise<void> {
  const { chain, vault, relay, publisher } = scene;
  const call = (body: ReturnType<typeof finalizeRoot>, value = gas, from = relay.address) =>
    deliver(chain, { from, to: vault, value, body });
  switch (step.kind) {
    case 'earn':
      model.people[step.index]!.earned += step.amount;
      return;
    case 'fund':
      expect(await call(channelPayment(step.amount), step.amount + fees.RECEIVE_COST)).toBe(true);
      model.received += step.amount;
      return;
    case 'pay': {
      const root = step.isOld ? (model.old ?? model.final) : model.final;
      if (root === undefined) return;
      const body = payEarnings(step.index, step.level, proveEarnings(root.tree, step.index, step.level));
      // Two roots in a row may be the same: then an old proof is as good.
      const isFinal = root.tree.root.hash === model.final?.tree.root.hash;
      const due = isFinal ? dueBelow(model, step.index, step.level) : [];
      const isGood =
        due.length > 0 && step.value >= fees.PAY_VALUE + fees.PAY_VALUE_EACH * BigInt(due.length);
      expect(await call(body, step.value)).toBe(isGood);
      if (!isGood) return;
      payBelow(model, step.index, step.level);
      happened.paid += 1;
      return;
    }
    case 'voucher':
      return takeVoucher(scene, model, step, call);
    case 'propose':
      return takePropose(scene, model, step, (body) => call(body, gas, publisher.address), call);
    case 'finalize': {
      if (step.isWaiting) chain.now = chain.now! + ROOT_DELAY;
      const isGood = model.pending !== undefined && step.isWaiting;
      expect(await call(finalizeRoot())).toBe(isGood);
      if (isGood) finalize(model);
    }
  }
}

type Call = (body: ReturnType<typeof finalizeRoot>) => Promise<boolean>;

async function takeVoucher(scene: Scene, model: Model, step: Extract<Step, { kind: 'voucher' }>, call: Call) {
  const person = model.people[step.index]!;
  const leaf = model.final?.leaves[step.index];
  const cumulative = (person.earned * step.part) / 100n;
  const voucher = { index: step.index, owner: addressOf(step.index), cumulative };
  const proof = model.final === undefined ? undefined : proveEarnings(model.final.tree, step.index);
  const signing = { good: {}, key: { by: wrongKey }, network: { networkId: -3 } }[step.signing];
  const inRoot = leaf?.cumulative ?? 0n;
  const settled = settledOf(person, leaf);
  const beyond = cumulative - (settled > inRoot ? settled : inRoot);
  const spent = model.voucherSpent + beyond;
  const isGood =
    step.signing === 'good' &&
    cumulative > inRoot &&
    cumulative > settled &&
    spent <= EPOCH_CAP &&
    (model.final?.tree.root.total ?? 0n) + spent <= model.received &&
    paidOut(model) + cumulative - settled <= model.received;
  expect(await call(earningsClaim(scene, voucher, proof, signing))).toBe(isGood);
  if (!isGood) return;
  model.voucherSpent = spent;
  happened.claimed += 1;
  person.paid += cumulative - settled;
  person.voucherPaid = cumulative;
  person.promised = person.promised > cumulative ? person.promised : cumulative;
  if (leaf !== undefined) person.isPaid = true;
}

async function takePropose(
  scene: Scene,
  model: Model,
  step: Extract<Step, { kind: 'propose' }>,
  publish: Call,
  call: Call,
) {
  const leaves = honestLeaves(model);
  const [mine, old] = [leaves[step.index], model.final?.leaves[step.index]];
  const isLie = step.lie !== 'none' && mine !== undefined && old !== undefined;
  if (isLie) leaves[step.index] = lieAbout(mine, step.lie);
  if (leaves.every((leaf) => leaf === undefined || leaf.cumulative === 0n)) return;
  const tree = buildEarningsTree(leaves);
  const total = model.final?.tree.root.total ?? 0n;
  const isGood =
    model.pending === undefined &&
    tree.root.total >= total &&
    tree.root.total - total <= EPOCH_CAP &&
    tree.root.total <= model.received;
  expect(await publish(proposeRoot(model.epoch + 1, tree.root))).toBe(isGood);
  if (!isGood) return;
  model.pending = { tree, leaves };
  if (model.final === undefined) return;
  for (let i = 0; i < PEOPLE; i++) {
    if (model.final.leaves[i] === undefined) continue;
    const isWrong = isLie && i === step.index;
    const body = challengeRoot(i, proveEarnings(model.final.tree, i), proveEarnings(tree, i));
    expect(await call(body)).toBe(isWrong);
    if (isWrong) {
      model.pending = undefined;
      happened.cancelled += 1;
      return;
    }
  }
}

function finalize(model: Model): void {
  model.old = model.final;
  model.final = model.pending;
  model.pending = undefined;
  model.epoch += 1;
  happened.finalized += 1;
  model.voucherSpent = 0n;
  for (const [i, person] of model.people.entries()) {
    person.wasPaid = person.isPaid;
    person.isPaid = false;
    const { cumulative = 0n } = model.final?.leaves[i] ?? {};
    if (cumulative > person.promised) person.promised = cumulative;
  }
}

/** What is known to be settled, from the definitions in the README. */
function settledOf(person: Person, leaf: EarningsLeaf | undefined): bigint {
  if (leaf === undefined) return person.voucherPaid;
  const byRoots = person.isPaid ? leaf.cumulative : person.wasPaid ? leaf.previous : leaf.base;
  return byRoots > person.voucherPaid ? byRoots : person.voucherPaid;
}

function below(index: number, level: number): number[] {
  const people = Array.from({ length: PEOPLE }, (_, i) => i);
  return people.filter((i) => i >> level === index >> level);
}

const dueBelow = ({ people, final }: Model, index: number, level: number): number[] =>
  below(index, level).filter((i) => {
    const [person, leaf] = [people[i]!, final?.leaves[i]];
    return leaf !== undefined && !person.isPaid && settledOf(person, leaf) < leaf.cumulative;
  });

function payBelow(model: Model, index: number, level: number): void {
  const due = dueBelow(model, index, level);
  for (const i of below(index, level)) {
    const [person, leaf] = [model.people[i]!, model.final?.leaves[i]];
    if (leaf === undefined || person.isPaid) continue;
    if (due.includes(i)) person.paid += leaf.cumulative - settledOf(person, leaf);
    person.isPaid = true;
    if (person.voucherPaid <= leaf.cumulative) person.voucherPaid = 0n;
  }
}

const paidOut = ({ people }: Model): bigint => people.reduce((sum, { paid }) => sum + paid, 0n);

async function check(scene: Scene, model: Model): Promise<void> {
  const data = (await dataOf(scene.chain, scene.vault)).beginParse();
  expect(data.loadUint(32)).toBe(model.epoch);
  data.skip(256 + 8);
  data.loadCoins();
  expect([data.loadCoins(), data.loadCoins(), data.loadCoins()]).toEqual([
    model.received,
    paidOut(model),
    model.voucherSpent,
  ]);
  expect(paidOut(model)).toBeLessThanOrEqual(model.received);
  const held = await balanceOf(scene, scene.vault);
  expect(held).toBeGreaterThanOrEqual(model.received - paidOut(model) + fees.VAULT_RESERVE);
  for (const [i, { paid, promised }] of model.people.entries()) {
    expect(await balanceOf(scene, addressOf(i))).toBe(paid);
    expect(paid).toBeLessThanOrEqual(promised);
  }
}

/** Nobody's help is needed to get all that the final root says. */
async function claimAll(scene: Scene, model: Model): Promise<void> {
  const { final } = model;
  if (final === undefined) return;
  const message = { from: scene.relay.address, to: scene.vault, value: gas };
  for (let i = 0; i < PEOPLE; i++) {
    const { cumulative } = final.leaves[i] ?? {};
    if (cumulative === undefined) continue;
    await deliver(scene.chain, { ...message, body: payEarnings(i, 0, proveEarnings(final.tree, i)) });
    expect(await balanceOf(scene, addressOf(i))).toBeGreaterThanOrEqual(cumulative);
  }
}

test('random histories of a vault', { timeout: TIMEOUT_MS }, async () => {
  const scene = await newScene({ deposit: 0n });
  const start = scene.chain.snapshot();
  const run = fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: STEPS, maxLength: STEPS }), async (steps) => {
      await scene.chain.loadFrom(start);
      const people = Array.from({ length: PEOPLE }, (): Person => ({
        earned: 0n,
        promised: 0n,
        paid: 0n,
        voucherPaid: 0n,
        isPaid: false,
        wasPaid: false,
      }));
      const model: Model = {
        people,
        epoch: 0,
        received: 0n,
        voucherSpent: 0n,
        final: undefined,
        old: undefined,
        pending: undefined,
      };
      for (const step of [{ kind: 'fund' as const, amount: toNano('90') }, ...steps]) {
        await take(scene, model, step);
        await check(scene, model);
      }
      await claimAll(scene, model);
    }),
    { numRuns: HISTORIES },
  );
  await expect(run).resolves.toBeUndefined();
  for (const count of Object.values(happened)) expect(count).toBeGreaterThan(HISTORIES / 10);
});
