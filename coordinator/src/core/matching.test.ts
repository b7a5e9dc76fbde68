/** Who gets which job, through the whole dispatcher: nobody hides behind those that do not fit. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { World, type Hand } from './test-world.ts';

const cheap = { promptNanoPerMillion: '500000', completionNanoPerMillion: '500000' };
const wallet = 'W'.repeat(48);

/** Contributors that a job would prefer, if only they could serve it. */
const crowd = (world: World, options: Parameters<World['join']>[1]): Hand[] =>
  Array.from({ length: 200 }, (_, i) => world.join(`crowd${i}`, { ask: cheap, ...options }));

describe('an idle contributor is found behind many that', () => {
  test('are too slow', () => {
    const world = new World();
    crowd(world, { speed: 10 });
    const fast = world.join('fast', { speed: 15 });
    const job = world.submit({ minTokensPerSecond: 12 });
    expect(fast.last('job-offer')?.jobId).toBe(job);
  });

  test('are not of the build that the answer was begun with', () => {
    const world = new World();
    const first = world.join('ann', { build: 'small-w' });
    const job = world.submit();
    first.accept(job);
    first.say(job, 'abc');
    crowd(world, { build: 'small-g' });
    const second = world.join('bob', { build: 'small-w' });
    first.vanish();
    world.wait(5_000);
    expect(second.last('job-offer')?.jobId).toBe(job);
  });

  test('belong to an owner that has earned enough from guests today', () => {
    const caps = {
      totalDailyNano: 100_000n,
      perNetworkDailyNano: 100_000n,
      perContributorDailyNano: 100_000n,
      perOwnerDailyNano: 210n,
      concurrentPerNetwork: 8,
      maxTokens: 100,
    };
    const guest = { guest: true, account: 'guest:10.0.0.1' } as const;
    const world = new World({ guests: caps });
    const rich = world.join('rich', { wallet });
    rich.serve(world.submit({ ...guest, text: 'hello', maxTokens: 100 }), 'x'.repeat(90));
    const owned = crowd(world, { wallet });
    const other = world.join('other');
    const job = world.submit(guest);
    expect(other.last('job-offer')?.jobId).toBe(job);
    // Whoever pays is served by them.
    const paid = world.submit();
    expect(owned.some((hand) => hand.last('job-offer')?.jobId === paid)).toBe(true);
  });

  test('ask so little for the answer, and so much for the prompt, that this prompt is dearer with them', () => {
    const world = new World();
    for (let i = 0; i < 200; i++)
      world.join(`crowd${i}`, { ask: { promptNanoPerMillion: '1000000', completionNanoPerMillion: '0' } });
    const fit = world.join('fit', {
      ask: { promptNanoPerMillion: '0', completionNanoPerMillion: '1500000' },
    });
    const job = world.submit({ text: 'x'.repeat(500), maxTokens: 10, maxPriceNano: 100n });
    expect(fit.last('job-offer')?.jobId).toBe(job);
  });
});

describe('a contributor', () => {
  test('gets the first job it can serve behind many that it cannot, of one account or several', () => {
    const world = new World(
      { queuedPerAccount: 64, queuedPerModel: 1_000 },
      { alice: 10n ** 9n, bob: 10n ** 9n },
    );
    for (let i = 0; i < 64; i++) world.submit({ minTokensPerSecond: 1_000, maxTokens: 10 });
    for (let i = 0; i < 63; i++) world.submit({ account: 'bob', maxPriceNano: 1n, maxTokens: 10 });
    const job = world.submit({ account: 'bob', maxTokens: 10 });
    expect(world.join('ann').last('job-offer')?.jobId).toBe(job);
  });

  test('that leaves, pauses or works is offered nothing, and little is kept of what has passed', () => {
    const world = new World({ resumeGraceMs: 1_000 }, { alice: 10n ** 9n, bob: 10n ** 9n });
    const [ann, bob, cyd] = ['ann', 'bob', 'cyd'].map((name) => world.join(name)) as [Hand, Hand, Hand];
    for (const hand of [ann, bob, cyd]) hand.announce('large-w');
    for (let i = 0; i < 1_000; i++) {
      ann.send({ type: 'status', state: 'paused' });
      ann.send({ type: 'status', state: 'ready' });
    }
    for (const pool of world.state.pools.values()) expect(pool.idle.size).toBeLessThan(100);
    ann.send({ type: 'status', state: 'paused' });
    bob.vanish();
    const job = world.submit();
    expect(cyd.last('job-offer')?.jobId).toBe(job);
    const waiting = world.submit();
    expect(world.state.jobs.get(waiting)?.phase).toBe('queued');
    world.post({ type: 'job-abandoned', jobId: waiting, code: 'client_gone' });
    const deadlines = world.state.deadlines.size;
    for (let i = 0; i < 100; i++) {
      const other = world.submit({ account: 'bob' });
      world.post({ type: 'job-abandoned', jobId: other, code: 'client_gone' });
    }
    expect(world.state.deadlines.size).toBe(deadlines);
  });
});

describe('the queue', () => {
  const accounts = Array.from({ length: 40 }, (_, i) => `account${i}`);
  const funds = Object.fromEntries(['alice', 'bob', ...accounts].map((name) => [name, 10n ** 9n]));
  const bounds = { queuedPerModel: 100, queuedPerAccount: 64, guests: null } as const;

  test('is bounded, refuses at once by name, and leaves room for who comes later', () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...accounts.slice(0, 8)), { minLength: 300, maxLength: 300 }),
        (asks) => {
          const world = new World(bounds, funds);
          for (const account of asks) {
            const { code } = world.heard(world.submit({ account, maxTokens: 1 }));
            expect([undefined, 'queue_full']).toContain(code);
          }
          expect(world.state.pools.get('small')?.queue.size).toBeLessThan(100);
          expect(world.heard(world.submit({ account: 'alice' })).code).toBeUndefined();
          world.checkBooks();
        },
      ),
      { numRuns: 10 },
    );
  });

  test('is never half full of guests, however many networks they come from', () => {
    const caps = {
      totalDailyNano: 10n ** 9n,
      perNetworkDailyNano: 10n ** 6n,
      perContributorDailyNano: 10n ** 9n,
      perOwnerDailyNano: 10n ** 9n,
      concurrentPerNetwork: 8,
      maxTokens: 100,
    };
    const world = new World({ ...bounds, guests: caps }, funds);
    const guests = Array.from(
      { length: 500 },
      (_, i) => world.heard(world.submit({ guest: true, account: `guest:10.0.0.${i}`, maxTokens: 1 })).code,
    );
    expect(guests.filter((code) => code === undefined)).toHaveLength(50);
    expect(new Set(guests)).toEqual(new Set([undefined, 'queue_full']));
    const paying = Array.from({ length: 20 }, () => world.submit({ maxTokens: 1 }));
    expect(paying.map((job) => world.heard(job).code)).toEqual(paying.map(() => undefined));
    // And they get every second turn, not one in fifty.
    const hand = world.join('ann');
    const served = Array.from({ length: 20 }, () => {
      const job = hand.last('job-offer')?.jobId ?? '';
      hand.serve(job, 'x');
      return paying.includes(job);
    });
    expect(served.filter(Boolean)).toHaveLength(10);
  });

  test('refuses more than one account may have waiting', () => {
    const world = new World({ ...bounds, queuedPerAccount: 3 }, funds);
    const codes = Array.from({ length: 5 }, () => world.heard(world.submit()).code);
    expect(codes).toEqual([undefined, undefined, undefined, 'queue_full', 'queue_full']);
    const most = new World({ ...bounds, concurrentPerAccount: 2 }, funds);
    expect(Array.from({ length: 3 }, () => most.heard(most.submit()).code)).toEqual([
      undefined,
      undefined,
      'rate_limited',
    ]);
  });

  test('starves no account, whatever the others ask for', () => {
    const ask = fc.record({
      account: fc.constantFrom(...accounts),
      maxTokens: fc.constantFrom(1, 10, 900),
      minTokensPerSecond: fc.constantFrom(undefined, undefined, 1_000),
      maxPriceNano: fc.constantFrom(undefined, undefined, 1n),
    });
    fc.assert(
      fc.property(fc.array(fc.array(ask, { maxLength: 6 }), { minLength: 400, maxLength: 400 }), (rounds) => {
        const world = new World({ ...bounds, heartbeatTimeoutMs: 1e9 }, funds);
        const hand = world.join('ann');
        world.submit({ account: 'bob' });
        const mine = Array.from({ length: 4 }, () => world.submit({ maxTokens: 100, maxWaitMs: 1e9 }));
        let answered = 0;
        for (const asks of rounds) {
          for (const one of asks) world.submit({ ...one, maxWaitMs: 1e9 });
          const job = hand.last('job-offer')?.jobId ?? '';
          if (!world.state.jobs.has(job)) continue;
          hand.serve(job, 'x');
          if (mine.includes(job)) answered += 1;
        }
        expect(answered).toBe(mine.length);
      }),
      { numRuns: process.env['TUSSAH_DEEP'] === '1' ? 200 : 10 },
    );
  }, 60_000);
});
