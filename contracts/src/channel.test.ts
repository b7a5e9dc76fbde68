import { beginCell, toNano } from '@ton/core';
import { beforeEach, describe, expect, test } from 'vitest';
import { closeTogether, finishClose, startClose, topUp } from './channel.ts';
import { fees } from './fees.ts';
import {
  balanceOf,
  CHALLENGE_PERIOD,
  channelClaim,
  channelState,
  consentSignature,
  newScene,
  payeeKey,
  send,
  sessionKey,
  vaultState,
  wrongKey,
  type Scene,
} from './testing/scene.ts';

const gas = toNano('0.05');
let scene: Scene;

beforeEach(async () => {
  scene = await newScene({ deposit: toNano('5') });
});

const claim = (cumulative: bigint, options = {}) =>
  send(scene.relay, scene.channel, gas, channelClaim(scene, cumulative, options));
const close = () => send(scene.client, scene.channel, gas, startClose());
const finish = () => send(scene.relay, scene.channel, gas, finishClose());
const pass = (seconds: number) => {
  scene.chain.now = scene.chain.now! + seconds;
};

describe('a voucher', () => {
  test('pays the vault exactly what is new, whoever submits it', async () => {
    const before = await balanceOf(scene, scene.vault);
    expect((await claim(toNano('1'))).error).toBeUndefined();
    expect((await claim(toNano('3'))).error).toBeUndefined();
    expect((await channelState(scene)).claimed).toBe(toNano('3'));
    expect((await vaultState(scene)).received).toBe(toNano('3'));
    expect((await balanceOf(scene, scene.vault)) - before).toBeGreaterThanOrEqual(toNano('3'));
  });

  test('costs the client nothing but its amount', async () => {
    const before = await balanceOf(scene, scene.channel);
    await claim(toNano('1'));
    expect(await balanceOf(scene, scene.channel)).toBe(before - toNano('1'));
  });

  test('is not good twice, nor is an older one', async () => {
    await claim(toNano('2'));
    expect((await claim(toNano('2'))).error).toBe('NOTHING_NEW');
    expect((await claim(toNano('1'))).error).toBe('NOTHING_NEW');
  });

  test.each([
    ['another key', { by: wrongKey }],
    ['the payee’s key', { by: payeeKey }],
    ['another network', { networkId: -3 }],
  ])('of %s is refused', async (_, options) => {
    expect((await claim(toNano('1'), options)).error).toBe('BAD_SIGNATURE');
  });

  test('of another channel is refused', async () => {
    expect((await claim(toNano('1'), { contract: scene.vault })).error).toBe('BAD_SIGNATURE');
  });

  test('above the balance pays what there is and stays good for the rest', async () => {
    await claim(toNano('9'));
    const { claimed, spendable } = await channelState(scene);
    expect(claimed).toBeGreaterThan(toNano('4.9'));
    expect(spendable).toBe(0n);
    expect((await claim(toNano('9'))).error).toBe('NOTHING_LEFT');
    await send(scene.client, scene.channel, toNano('6'), topUp());
    await claim(toNano('9'));
    expect((await channelState(scene)).claimed).toBe(toNano('9'));
  });

  test('needs its fees', async () => {
    const sent = await send(
      scene.relay,
      scene.channel,
      fees.CLAIM_VALUE - 1n,
      channelClaim(scene, toNano('1')),
    );
    expect(sent.error).toBe('LOW_VALUE');
    const enough = await send(scene.relay, scene.channel, fees.CLAIM_VALUE, channelClaim(scene, toNano('1')));
    expect(enough.error).toBeUndefined();
  });

  test('that the payee could not take is owed again', async () => {
    scene = await newScene({ hasVault: false });
    const before = await balanceOf(scene, scene.channel);
    await claim(toNano('1'));
    expect((await channelState(scene)).claimed).toBe(0n);
    expect(await balanceOf(scene, scene.channel)).toBeGreaterThanOrEqual(before);
  });
});

describe('a close', () => {
  test('gives the client the rest after the challenge period, whoever finishes it', async () => {
    await claim(toNano('2'));
    expect((await close()).error).toBeUndefined();
    pass(CHALLENGE_PERIOD);
    const before = await scene.client.getBalance();
    expect((await finish()).error).toBeUndefined();
    expect((await scene.client.getBalance()) - before).toBeGreaterThan(toNano('2.9'));
    expect(await balanceOf(scene, scene.channel)).toBe(fees.CHANNEL_RESERVE);
  });

  test('is started by the client only, once, with its fees', async () => {
    expect((await send(scene.relay, scene.channel, gas, startClose())).error).toBe('NOT_ALLOWED');
    expect((await send(scene.client, scene.channel, fees.CLOSE_VALUE - 1n, startClose())).error).toBe(
      'LOW_VALUE',
    );
    await close();
    expect((await close()).error).toBe('CLOSING');
  });

  test('cannot be finished before it began, or early', async () => {
    expect((await finish()).error).toBe('NOT_CLOSING');
    await close();
    pass(CHALLENGE_PERIOD - 1);
    expect((await finish()).error).toBe('TOO_EARLY');
  });

  test('leaves the payee the challenge period, and not a second more', async () => {
    await close();
    pass(CHALLENGE_PERIOD - 1);
    expect((await claim(toNano('1'))).error).toBeUndefined();
    pass(1);
    expect((await claim(toNano('2'))).error).toBe('TOO_LATE');
    await finish();
    expect((await claim(toNano('2'))).error).toBe('TOO_LATE');
    expect((await channelState(scene)).claimed).toBe(toNano('1'));
  });

  test('takes no more deposits', async () => {
    await close();
    expect((await send(scene.client, scene.channel, gas, topUp())).error).toBe('CLOSING');
    expect((await send(scene.client, scene.channel, gas, beginCell().endCell())).error).toBe('CLOSING');
  });

  test('strands nothing that comes later: it is the client’s', async () => {
    await close();
    pass(CHALLENGE_PERIOD);
    await finish();
    await scene.relay.send({ to: scene.channel, value: toNano('1'), body: topUp(), bounce: false });
    const before = await scene.client.getBalance();
    await finish();
    expect((await scene.client.getBalance()) - before).toBeGreaterThan(toNano('0.99'));
  });
});

describe('a close together', () => {
  const together = (
    cumulative: bigint,
    { from = scene.client, signature = consentSignature(scene, cumulative), value = gas } = {},
  ) => send(from, scene.channel, value, closeTogether({ cumulative, signature }));

  test('pays both at once', async () => {
    await claim(toNano('1'));
    const before = await scene.client.getBalance();
    expect((await together(toNano('2'))).error).toBeUndefined();
    expect((await scene.client.getBalance()) - before).toBeGreaterThan(toNano('2.9'));
    expect((await vaultState(scene)).received).toBe(toNano('2'));
    expect((await claim(toNano('3'))).error).toBe('TOO_LATE');
    expect((await together(toNano('3'))).error).toBe('CLOSING');
  });

  test('needs the payee’s consent, the client and its fees', async () => {
    const bad = consentSignature(scene, toNano('2'), { by: sessionKey });
    expect((await together(toNano('2'), { signature: bad })).error).toBe('BAD_SIGNATURE');
    const elsewhere = consentSignature(scene, toNano('2'), { networkId: -3 });
    expect((await together(toNano('2'), { signature: elsewhere })).error).toBe('BAD_SIGNATURE');
    expect((await together(toNano('2'), { from: scene.relay })).error).toBe('NOT_ALLOWED');
    expect((await together(toNano('2'), { value: fees.CLAIM_VALUE - 1n })).error).toBe('LOW_VALUE');
  });

  test('neither takes back what was claimed nor pays what is not there', async () => {
    await claim(toNano('2'));
    expect((await together(toNano('1'))).error).toBe('UNDERPAID_CHANNEL');
    expect((await together(toNano('6'))).error).toBe('UNDERPAID_CHANNEL');
    expect((await together(toNano('2'))).error).toBeUndefined();
  });
});

test('anybody may deposit; an unknown message is refused', async () => {
  await send(scene.relay, scene.channel, toNano('1'), beginCell().endCell());
  await send(scene.relay, scene.channel, toNano('1'), topUp());
  expect((await channelState(scene)).spendable).toBeGreaterThan(toNano('6.97'));
  const unknown = beginCell().storeUint(0x12345678, 32).storeUint(0, 64).endCell();
  expect((await send(scene.relay, scene.channel, gas, unknown)).error).toBe('UNKNOWN_MESSAGE');
});
