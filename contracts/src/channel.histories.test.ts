/** Random histories of a channel: whatever happens, no voucher pays too much and the client gets the rest alone. */
import { toNano } from '@ton/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { closeTogether, finishClose, startClose, topUp } from './channel.ts';
import { fees } from './fees.ts';
import { dataOf, deliver, HISTORIES, STEPS, TIMEOUT_MS } from './testing/histories.ts';
import { channelPayment } from './vault.ts';
import {
  balanceOf,
  CHALLENGE_PERIOD,
  channelClaim,
  consentSignature,
  newScene,
  wrongKey,
  type Scene,
} from './testing/scene.ts';

const amount = fc.oneof(fc.bigInt(1n, toNano('9')), fc.constantFrom(0n, 1n, toNano('5'), toNano('100')));
const value = fc.constantFrom(fees.CLAIM_VALUE - 1n, fees.CLAIM_VALUE, fees.CLOSE_VALUE, toNano('0.05'));
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('claim'),
      amount,
      value,
      signing: fc.constantFrom('good', 'good', 'good', 'key', 'network', 'contract'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('topUp'), amount, bounce: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('startClose'), isClient: fc.boolean(), value }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('finishClose'), value }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('closeTogether'),
      amount,
      isClient: fc.boolean(),
      isSigned: fc.boolean(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('pass'),
      seconds: fc.constantFrom(1, 1800, CHALLENGE_PERIOD, 86_400),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** What the channel must be like after the steps so far. */
interface Model {
  claimed: bigint;
  closeAt: number;
  /** The most that was signed for rightly. */
  signed: bigint;
}

const signings = {
  good: {},
  key: { by: wrongKey },
  network: { networkId: -3 },
} as const;

async function take(scene: Scene, model: Model, step: Step, hasVault: boolean): Promise<void> {
  const { chain, channel, client, relay, vault } = scene;
  const now = chain.now!;
  const isOver = model.closeAt !== 0 && now >= model.closeAt;
  const spendable = (await balanceOf(scene, channel)) - fees.CHANNEL_RESERVE;
  switch (step.kind) {
    case 'claim': {
      const options = step.signing === 'contract' ? { contract: vault } : signings[step.signing];
      const due = min(step.amount - model.claimed, spendable);
      const isGood = step.signing === 'good' && !isOver && due > 0n && step.value >= fees.CLAIM_VALUE;
      const body = channelClaim(scene, step.amount, options);
      expect(await deliver(chain, { from: relay.address, to: channel, value: step.value, body })).toBe(
        isGood,
      );
      if (step.signing === 'good') model.signed = max(model.signed, step.amount);
      if (isGood && hasVault) model.claimed += due;
      return;
    }
    case 'topUp': {
      const message = { from: client.address, to: channel, value: step.amount + 1_000_000n, body: topUp() };
      expect(await deliver(chain, { ...message, bounce: step.bounce })).toBe(model.closeAt === 0);
      return;
    }
    case 'startClose': {
      const from = step.isClient ? client.address : relay.address;
      const isGood = step.isClient && model.closeAt === 0 && step.value >= fees.CLOSE_VALUE;
      expect(await deliver(chain, { from, to: channel, value: step.value, body: startClose() })).toBe(isGood);
      if (isGood) model.closeAt = now + CHALLENGE_PERIOD;
      return;
    }
    case 'finishClose': {
      const message = { from: relay.address, to: channel, value: step.value, body: finishClose() };
      expect(await deliver(chain, message)).toBe(isOver);
      return;
    }
    case 'closeTogether': {
      const from = step.isClient ? client.address : relay.address;
      const signature = consentSignature(scene, step.amount, step.isSigned ? {} : { by: wrongKey });
      const body = closeTogether({ cumulative: step.amount, signature });
      const due = step.amount - model.claimed;
      const isGood = step.isClient && step.isSigned && !isOver && due >= 0n && due <= spendable;
      expect(await deliver(chain, { from, to: channel, value: toNano('0.05'), body })).toBe(isGood);
      if (!isGood) return;
      model.signed = max(model.signed, step.amount);
      model.closeAt = now;
      if (hasVault) model.claimed = step.amount;
      return;
    }
    case 'pass': {
      chain.now = now + step.seconds;
      // Refused, but the rent is taken: the model's balances stay exact.
      const message = { from: relay.address, to: channel, value: 1_000_000n, body: channelPayment(0n) };
      expect(await deliver(chain, message)).toBe(false);
    }
  }
}

async function check(scene: Scene, model: Model, hasVault: boolean): Promise<void> {
  const data = (await dataOf(scene.chain, scene.channel)).beginParse();
  expect({ claimed: data.loadCoins(), closeAt: data.loadUint(32) }).toEqual({
    claimed: model.claimed,
    closeAt: model.closeAt,
  });
  expect(model.claimed).toBeLessThanOrEqual(model.signed);
  if (!hasVault) return;
  const received = (await dataOf(scene.chain, scene.vault)).beginParse().skip(32 + 256 + 8);
  expect([received.loadCoins(), received.loadCoins()]).toEqual([0n, model.claimed]);
}

/** The client alone gets everything but the reserve. */
async function leave(scene: Scene, model: Model): Promise<void> {
  const { chain, channel, client } = scene;
  const call = (body: ReturnType<typeof startClose>) =>
    deliver(chain, { from: client.address, to: channel, value: fees.CLOSE_VALUE, body });
  if (model.closeAt === 0) expect(await call(startClose())).toBe(true);
  chain.now = Math.max(chain.now!, model.closeAt) + CHALLENGE_PERIOD;
  const [before, mine] = [await balanceOf(scene, channel), await client.getBalance()];
  expect(await call(finishClose())).toBe(true);
  expect(await balanceOf(scene, channel)).toBeLessThanOrEqual(fees.CHANNEL_RESERVE);
  // Up to what the call itself and a day's rent cost.
  const refund = (await client.getBalance()) - mine;
  expect(refund).toBeGreaterThanOrEqual(before - fees.CHANNEL_RESERVE - toNano('0.001'));
}

const min = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const max = (a: bigint, b: bigint): bigint => (a > b ? a : b);

test.each([
  ['whose vault takes the money', true],
  ['whose vault bounces it', false],
])('random histories of a channel %s', { timeout: TIMEOUT_MS }, async (_, hasVault) => {
  const scene = await newScene({ deposit: toNano('5'), hasVault });
  const start = scene.chain.snapshot();
  const run = fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: STEPS, maxLength: STEPS }), async (steps) => {
      await scene.chain.loadFrom(start);
      const model: Model = { claimed: 0n, closeAt: 0, signed: 0n };
      for (const step of steps) {
        await take(scene, model, step, hasVault);
        await check(scene, model, hasVault);
      }
      await leave(scene, model);
    }),
    { numRuns: Math.ceil(HISTORIES / 2) },
  );
  await expect(run).resolves.toBeUndefined();
});
