import { checkSums } from '@tussah/protocol/receipts';
import { describe, expect, test } from 'vitest';
import { ledgerAccounts } from './ledger.ts';
import { idsOf, World, type Hand } from './test-world.ts';

const cheap = { promptNanoPerMillion: '500000', completionNanoPerMillion: '500000' };

describe('a job', () => {
  test('is answered, charged once and paid for', () => {
    const world = new World();
    const hand = world.join('ann');
    const job = world.submit({ text: 'hello' });
    hand.serve(job, 'goodbye');
    const { text, done, receipt } = world.heard(job);
    expect(text).toBe('goodbye');
    expect(done?.answer.usage).toEqual({ promptTokens: 5, completionTokens: 7 });
    // 5 x 1 + 7 x 2 nanoTON, of which 5 % rounded down is the fee.
    expect(receipt?.chargedNano).toBe('19');
    expect(world.state.balances.get(ledgerAccounts.client('alice'))).toBe(999_981n);
    expect(world.state.balances.get(ledgerAccounts.contributor(hand.publicKey))).toBe(19n);
    expect(hand.last('job-settled')).toMatchObject({ jobId: job, payNano: '19', tokens: 7 });
    expect(world.state.jobs.size).toBe(0);
    world.checkBooks();
  });

  test('takes the network fee from what is charged', () => {
    const world = new World({ networkFeeBasisPoints: 1_000 });
    const hand = world.join('ann');
    const job = world.submit({ text: 'hello' });
    hand.serve(job, 'goodbye');
    expect(world.heard(job).receipt).toMatchObject({ chargedNano: '19', networkFeeNano: '1' });
    expect(world.state.balances.get(ledgerAccounts.networkFee)).toBe(1n);
    world.checkBooks();
  });

  test('says nothing about its end before the books are written', () => {
    const world = new World();
    const hand = world.join('ann');
    world.settles = false;
    const job = world.submit();
    hand.serve(job, 'abc');
    expect(world.heard(job).done).toBeUndefined();
    expect(world.state.balances.get(ledgerAccounts.client('alice'))).toBe(1_000_000n);
    const settle = world.effects.find((effect) => effect.type === 'settle');
    if (settle !== undefined) world.settle(settle);
    expect(world.heard(job).done).toBeDefined();
  });

  test('charges nothing when the books can not be written', () => {
    const world = new World();
    const hand = world.join('ann');
    world.settles = false;
    const job = world.submit();
    hand.serve(job, 'abc');
    world.post({ type: 'settlement-failed', jobId: job });
    expect(world.heard(job).code).toBe('store_failed');
    expect(world.state.balances.get(ledgerAccounts.client('alice'))).toBe(1_000_000n);
    world.checkBooks();
  });

  test('that nobody serves ends when its wait is over, and costs nothing', () => {
    const world = new World();
    const job = world.submit({ maxWaitMs: 3_000 });
    world.wait(2_999);
    expect(world.heard(job).code).toBeUndefined();
    world.wait(1);
    expect(world.heard(job)).toMatchObject({ code: 'no_contributor', receipt: null });
    world.checkBooks();
  });

  test('waits for a contributor that comes in time', () => {
    const world = new World();
    const job = world.submit();
    world.wait(1_000);
    const hand = world.join('ann');
    hand.serve(job, 'abc');
    expect(world.heard(job).text).toBe('abc');
  });

  test('is refused at once for want of money, and the reservation of another counts', () => {
    const world = new World({}, { alice: 300n });
    world.join('ann');
    // 5 + 100 x 2 nanoTON at most.
    const first = world.submit();
    const second = world.submit();
    expect(world.heard(first).code).toBeUndefined();
    expect(world.heard(second).code).toBe('insufficient_balance');
    world.checkBooks();
  });

  test.each([
    ['an unknown model', { model: 'none' }, 'model_not_found'],
    [
      'a prompt that fills the context',
      { text: 'x'.repeat(1_000), maxTokens: undefined },
      'context_length_exceeded',
    ],
    ['more tokens than the context leaves', { maxTokens: 996 }, 'context_length_exceeded'],
  ] as const)('is refused for %s', (_, change, code) => {
    const world = new World();
    world.join('ann');
    const job = world.submit(change);
    expect(world.heard(job).code).toBe(code);
    world.checkBooks();
  });

  test('goes to the cheapest', () => {
    const world = new World();
    const dear = world.join('dear');
    const low = world.join('low', { ask: cheap });
    const job = world.submit();
    expect(low.last('job-offer')?.jobId).toBe(job);
    expect(dear.last('job-offer')).toBeUndefined();
  });

  test('never costs more than its client allows, and says so when that is why', () => {
    const world = new World();
    const dear = world.join('dear');
    const job = world.submit({ maxPriceNano: 100n });
    world.wait(5_000);
    expect(dear.last('job-offer')).toBeUndefined();
    expect(world.heard(job).code).toBe('price_too_high');
  });

  test('charges the price asked, not the list price', () => {
    const world = new World();
    const low = world.join('low', { ask: cheap });
    const job = world.submit({ text: 'hello' });
    low.serve(job, 'goodbye');
    expect(world.heard(job).receipt?.chargedNano).toBe('6');
  });

  test('is shared between equals in turn', () => {
    const world = new World();
    const hands = [world.join('ann'), world.join('bob')];
    const served = [0, 0, 0, 0].map(() => {
      const job = world.submit();
      const hand = hands.findIndex((candidate) => candidate.last('job-offer')?.jobId === job);
      hands[hand]?.serve(job, 'abc');
      return hand;
    });
    expect(served).toEqual([0, 1, 0, 1]);
  });

  test('is shared with a newcomer, however good the other has proved to be', () => {
    const world = new World();
    const veteran = world.join('ann', { speed: 50 });
    for (let i = 0; i < 5; i++) veteran.serve(world.submit(), 'a long answer indeed');
    const newcomer = world.join('bob', { speed: 50 });
    for (let i = 0; i < 4; i++) {
      const job = world.submit();
      const hand = [veteran, newcomer].find((candidate) => candidate.last('job-offer')?.jobId === job);
      hand?.serve(job, 'abc');
    }
    const settled = newcomer.frames().filter((frame) => frame.type === 'job-settled');
    expect(settled).toHaveLength(2);
  });

  test('prefers the faster class, and demands a speed when told to', () => {
    const world = new World();
    world.join('slow', { speed: 2 });
    const fast = world.join('fast', { speed: 50 });
    const job = world.submit();
    expect(fast.last('job-offer')?.jobId).toBe(job);
    fast.accept(job);
    const picky = world.submit({ minTokensPerSecond: 20 });
    world.wait(5_000);
    expect(world.heard(picky).code).toBe('no_contributor');
  });

  test('stops and is charged for what was delivered when the client goes away', () => {
    const world = new World();
    const hand = world.join('ann');
    const job = world.submit({ text: 'hello' });
    hand.accept(job);
    hand.say(job, 'abc');
    world.post({ type: 'job-abandoned', jobId: job, code: 'client_gone' });
    expect(hand.last('job-cancel')?.jobId).toBe(job);
    expect(world.heard(job).receipt).toMatchObject({ outcome: 'cancelled', chargedNano: '11' });
    // What was under way when it was cancelled is no breach.
    hand.say(job, 'def', 3);
    hand.done(job, 'abcdef');
    expect(hand.closed).toBe(false);
    world.checkBooks();
  });

  test('is free when the client goes away while it waits', () => {
    const world = new World();
    const job = world.submit();
    world.post({ type: 'job-abandoned', jobId: job, code: 'client_gone' });
    expect(world.heard(job)).toMatchObject({ code: 'client_gone', receipt: null });
    world.join('ann');
    expect(world.state.jobs.size).toBe(0);
    world.checkBooks();
  });
});

describe('a job whose contributor fails', () => {
  test('goes on elsewhere from what was delivered, and each is paid for its part', () => {
    const world = new World();
    const first = world.join('ann');
    const job = world.submit({ text: 'hello' });
    first.accept(job);
    first.say(job, 'abc');
    const second = world.join('bob');
    first.vanish();
    world.wait(5_000);
    expect(second.last('job-offer')).toMatchObject({
      jobId: job,
      prefix: { text: 'abc', ids: [97, 98, 99] },
    });
    second.accept(job);
    second.say(job, 'def');
    second.done(job, 'def');
    const { text, receipt } = world.heard(job);
    expect(text).toBe('abcdef');
    expect(receipt?.segments.map((s) => [s.end, s.tokens, s.chargedNano])).toEqual([
      ['lost', 3, '11'],
      ['stop', 3, '6'],
    ]);
    expect(receipt && checkSums(receipt).every((check) => check.ok)).toBe(true);
    world.checkBooks();
  });

  test('goes on with the same contributor when it is back within the grace', () => {
    const world = new World();
    const hand = world.join('ann');
    const job = world.submit();
    hand.accept(job);
    hand.say(job, 'abc');
    hand.vanish();
    world.wait(4_000);
    const back = world.join('ann', { resume: hand.last('welcome')?.sessionId ?? '' });
    expect(back.last('welcome')?.resumed).toEqual([{ jobId: job, position: 3 }]);
    back.say(job, 'def');
    back.done(job, 'abcdef');
    expect(world.heard(job).receipt?.segments).toHaveLength(1);
    expect(world.heard(job).text).toBe('abcdef');
  });

  test('only goes on with the same build', () => {
    const world = new World();
    const first = world.join('ann', { build: 'small-w' });
    const job = world.submit();
    first.accept(job);
    first.say(job, 'abc');
    const other = world.join('bob', { build: 'small-g' });
    first.vanish();
    world.wait(5_000);
    expect(other.last('job-offer')).toBeUndefined();
    world.wait(15_000);
    expect(world.heard(job)).toMatchObject({ code: 'contributor_failed', receipt: { outcome: 'failed' } });
    world.checkBooks();
  });

  test.each([
    [
      'declines',
      (hand: ReturnType<World['join']>, job: string) =>
        hand.send({ type: 'job-decline', jobId: job, reason: 'busy' }),
    ],
    ['does not answer the offer', (hand: ReturnType<World['join']>) => hand.world.wait(5_000)],
    [
      'fails',
      (hand: ReturnType<World['join']>, job: string) =>
        hand.send({ type: 'job-failed', jobId: job, code: 'device_lost', message: 'lost' }),
    ],
  ])('is unseen by the client when it %s before the first token', (_, failing) => {
    const world = new World();
    const first = world.join('ann');
    const job = world.submit({ maxWaitMs: 60_000 });
    const second = world.join('bob');
    failing(first, job);
    second.serve(job, 'abc');
    expect(world.heard(job)).toMatchObject({ text: 'abc', receipt: { segments: [{ end: 'stop' }] } });
  });

  test('leaves a contributor that falls silent', () => {
    const world = new World({ heartbeatTimeoutMs: 1e9 });
    const first = world.join('ann');
    const job = world.submit();
    first.accept(job);
    first.say(job, 'abc');
    const second = world.join('bob');
    world.wait(29_999);
    expect(second.last('job-offer')).toBeUndefined();
    world.wait(1);
    expect(second.last('job-offer')?.jobId).toBe(job);
    expect(first.last('job-cancel')?.jobId).toBe(job);
  });

  test('leaves one that falls silent after a slow first token as soon as any other', () => {
    const world = new World({ heartbeatTimeoutMs: 1e9 });
    const first = world.join('ann');
    const job = world.submit();
    first.accept(job);
    world.wait(20_000);
    first.say(job, 'abc');
    const second = world.join('bob');
    world.wait(29_999);
    expect(second.last('job-offer')).toBeUndefined();
    world.wait(1);
    expect(second.last('job-offer')?.jobId).toBe(job);
  });

  test('is whole when only its end is missing: nobody is asked for tokens beyond the bound', () => {
    const world = new World();
    const first = world.join('ann');
    const job = world.submit({ text: 'hello', maxTokens: 3 });
    first.accept(job);
    first.say(job, 'abc');
    const second = world.join('bob');
    first.vanish();
    world.wait(5_000);
    expect(second.last('job-offer')).toBeUndefined();
    const { text, done, receipt } = world.heard(job);
    expect(text).toBe('abc');
    expect(done?.answer.finishReason).toBe('length');
    expect(receipt).toMatchObject({ outcome: 'complete', finishReason: 'length' });
    expect(receipt?.segments.map((s) => [s.end, s.tokens, s.chargedNano])).toEqual([['lost', 3, '11']]);
    world.checkBooks();
  });

  const lastText = (world: World, hand: Hand, jobId: string) =>
    hand.send({
      type: 'text-delta',
      jobId,
      position: 0,
      ids: idsOf('abc'),
      text: 'abc',
      finishReason: 'stop',
    });

  test('is whole when its end was said with its last text, though the contributor is lost before it signs', () => {
    const world = new World();
    const first = world.join('ann');
    const job = world.submit({ text: 'hello', maxTokens: 30, stop: ['END'] });
    first.accept(job);
    lastText(world, first, job);
    const second = world.join('bob');
    first.vanish();
    world.wait(5_000);
    expect(second.last('job-offer')).toBeUndefined();
    const { done, receipt } = world.heard(job);
    expect(done?.answer.finishReason).toBe('stop');
    expect(receipt?.segments.map((s) => [s.end, s.tokens])).toEqual([['lost', 3]]);
  });

  test('does not end by the word of a contributor that is caught lying about it', () => {
    const world = new World();
    const first = world.join('ann');
    const second = world.join('bob');
    const job = world.submit({ text: 'hello', maxTokens: 30 });
    first.accept(job);
    lastText(world, first, job);
    first.send({ type: 'text-delta', jobId: job, position: 3, ids: idsOf('d'), text: 'd' });
    expect(first.closed).toBe(true);
    expect(second.last('job-offer')).toMatchObject({ jobId: job, prefix: { text: 'abc' } });
    second.accept(job);
    second.say(job, 'd');
    second.done(job, 'd');
    expect(world.heard(job)).toMatchObject({ text: 'abcd', done: { answer: { finishReason: 'stop' } } });
  });

  test('ends after a bounded number of contributors', () => {
    const world = new World({ attempts: 2 });
    const hands = ['ann', 'bob', 'cyd'].map((name) => world.join(name));
    const job = world.submit();
    for (let i = 0; i < 2; i++)
      hands
        .find((hand) => world.state.jobs.get(job)?.lease?.publicKey === hand.publicKey)
        ?.send({ type: 'job-failed', jobId: job, code: 'engine_failed', message: 'no' });
    expect(world.heard(job).code).toBe('contributor_failed');
    world.checkBooks();
  });

  test('charges nothing for a segment whose signature is false, and closes its author', () => {
    const world = new World();
    const liar = world.join('ann');
    const job = world.submit({ text: 'hello' });
    liar.accept(job);
    liar.say(job, 'abc');
    const honest = world.join('bob');
    liar.done(job, 'abc', 'bad');
    expect(liar.closed).toBe(true);
    honest.accept(job);
    honest.say(job, 'def');
    honest.done(job, 'def');
    const { receipt } = world.heard(job);
    expect(receipt?.segments.map((s) => [s.end, s.billedTokens, s.promptTokens])).toEqual([
      ['refused', 0, 0],
      ['stop', 3, 5],
    ]);
    expect(receipt && checkSums(receipt).every((check) => check.ok)).toBe(true);
    world.checkBooks();
  });

  test('lets one that failed three times in a row rest', () => {
    const world = new World({ failuresBeforeRest: 3, restMs: 60_000 });
    const hand = world.join('ann');
    for (let i = 0; i < 3; i++) {
      const job = world.submit({ maxWaitMs: 0 });
      hand.send({ type: 'job-failed', jobId: job, code: 'engine_failed', message: 'no' });
      world.wait(10);
    }
    const job = world.submit({ maxWaitMs: 100_000 });
    expect(hand.last('job-offer')?.jobId).not.toBe(job);
    for (let i = 0; i < 4; i++) {
      world.wait(15_000);
      hand.send({ type: 'pong', n: 0 });
    }
    expect(hand.last('job-offer')?.jobId).toBe(job);
  });
});

describe('text that breaks the rules', () => {
  test.each([
    ['ids that do not decode to it', { ids: [97, 98], text: 'xy', position: 0 }],
    ['control tokens', { ids: [0], text: '', position: 0 }],
    ['a gap', { ids: [97], text: 'a', position: 1 }],
    [
      'more tokens than asked for',
      { ids: Array.from({ length: 101 }, () => 97), text: 'a'.repeat(101), position: 0 },
    ],
  ])('closes the session: %s', (_, delta) => {
    const world = new World();
    const liar = world.join('ann');
    const job = world.submit();
    liar.accept(job);
    liar.send({ type: 'text-delta', jobId: job, ...delta });
    expect(liar.last('refused')?.code).toBe('illegal_frame');
    expect(liar.closed).toBe(true);
    expect(world.heard(job).text).toBe('');
    world.join('bob').serve(job, 'abc');
    expect(world.heard(job).text).toBe('abc');
  });
});
