import { describe, expect, test } from 'vitest';
import { defaultCoreConfig } from './config.ts';
import { ledgerAccounts } from './ledger.ts';
import { World } from './test-world.ts';

const caps = {
  totalDailyNano: 1_000n,
  perNetworkDailyNano: 400n,
  perContributorDailyNano: 10_000n,
  perOwnerDailyNano: 10_000n,
  concurrentPerNetwork: 2,
  maxTokens: 100,
};
const guest = { guest: true, account: 'guest:10.0.0.1' } as const;

describe('guests', () => {
  test('are paid for by the operator', () => {
    const world = new World({ guests: caps });
    const hand = world.join('ann');
    const job = world.submit({ ...guest, text: 'hello' });
    hand.serve(job, 'abc');
    expect(world.heard(job).receipt?.chargedNano).toBe('11');
    expect(world.state.balances.get(ledgerAccounts.guests)).toBe(999_989n);
    world.checkBooks();
  });

  test('are refused when they have no caps, that is, are not served', () => {
    const world = new World({ guests: null });
    expect(world.heard(world.submit(guest)).code).toBe('invalid_api_key');
  });

  test('share a bounded number of jobs and a bounded sum a network, counting what running jobs may cost', () => {
    const world = new World({ guests: caps });
    world.join('ann');
    // Each may cost 205 of the 400.
    expect(world.heard(world.submit(guest)).code).toBeUndefined();
    expect(world.heard(world.submit(guest)).code).toBe('guest_budget_exhausted');
    expect(world.heard(world.submit({ ...guest, account: 'guest:10.0.0.2' })).code).toBeUndefined();
  });

  test('begin anew the next day', () => {
    const world = new World({ guests: { ...caps, perNetworkDailyNano: 210n } });
    const hand = world.join('ann');
    hand.serve(world.submit({ ...guest, text: 'hello' }), 'abc');
    expect(world.heard(world.submit(guest)).code).toBe('guest_budget_exhausted');
    world.atMs += 86_400_000;
    expect(world.heard(world.submit(guest)).code).toBeUndefined();
  });

  test('do not let one contributor or one owner earn without bound', () => {
    const world = new World({
      guests: { ...caps, perNetworkDailyNano: 100_000n, totalDailyNano: 100_000n, perOwnerDailyNano: 210n },
    });
    const wallet = 'W'.repeat(48);
    const first = world.join('ann', { wallet });
    first.serve(world.submit({ ...guest, text: 'hello' }), 'abc');
    const second = world.join('bob', { wallet });
    const job = world.submit(guest);
    expect(second.last('job-offer')).toBeUndefined();
    expect(world.join('cyd').last('job-offer')?.jobId).toBe(job);
  });

  test('find the till empty rather than run up a debt', () => {
    const world = new World({ guests: defaultCoreConfig.guests });
    world.state.balances.set(ledgerAccounts.guests, 100n);
    expect(world.heard(world.submit(guest)).code).toBe('guest_budget_exhausted');
  });
});
