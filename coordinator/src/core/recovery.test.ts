/** What a crash leaves of jobs, and what becomes of it. Crashes here keep exactly what was written down. */
import { hashOfIds } from '@tussah/protocol/bytes';
import { checkSums, type Receipt } from '@tussah/protocol/receipts';
import { describe, expect, test } from 'vitest';
import { ledgerAccounts } from './ledger.ts';
import { idsOf, World, type Hand } from './test-world.ts';

const resumable = { resumable: { requestHash: 'ab'.repeat(32) } };

/** A job that has said some of its answer; what is said `after` no checkpoint has seen. */
function running(options: { said?: string; after?: string; change?: Parameters<World['submit']>[0] } = {}): {
  world: World;
  hand: Hand;
  job: string;
} {
  const world = new World();
  const hand = world.join('ann');
  const job = world.submit(options.change ?? {});
  hand.accept(job);
  hand.say(job, options.said ?? 'good');
  world.wait(1_000);
  if (options.after !== undefined) hand.say(job, options.after);
  return { world, hand, job };
}

const checkpointsOf = (world: World) =>
  world.effects.flatMap((effect) => (effect.type === 'checkpoint' ? [effect] : []));
const spent = (world: World) => 1_000_000n - (world.state.balances.get(ledgerAccounts.client('alice')) ?? 0n);

function checkReceipt(receipt: Receipt | null): void {
  expect(receipt && checkSums(receipt).filter((check) => !check.ok)).toEqual([]);
}

describe('checkpoints', () => {
  test('are made of streaming jobs, each second in which something was delivered', () => {
    const { world, hand, job } = running();
    expect(checkpointsOf(world)).toHaveLength(1);
    world.wait(1_000);
    expect(checkpointsOf(world)).toHaveLength(1);
    hand.say(job, 'b');
    hand.say(job, 'y');
    world.wait(999);
    expect(checkpointsOf(world)).toHaveLength(1);
    world.wait(1);
    expect(checkpointsOf(world)).toHaveLength(2);
    expect(world.journal.get(job)?.open).toMatchObject({
      publicKey: hand.publicKey,
      firstPosition: 0,
      tokens: 6,
      billedTokens: 6,
      idsHash: hashOfIds(idsOf('goodby')),
    });
  });

  test('are not made of answers that are not streamed', () => {
    const { world } = running({ change: { stream: false } });
    expect(checkpointsOf(world)).toEqual([]);
  });

  test('name the contributor of a resumable job before anything it says may leave', () => {
    const world = new World();
    const hand = world.join('ann');
    const job = world.submit(resumable);
    expect(checkpointsOf(world)).toEqual([]);
    hand.accept(job);
    expect(checkpointsOf(world)).toMatchObject([
      { awaited: true, checkpoint: { open: { publicKey: hand.publicKey, tokens: 0 } } },
    ]);
  });

  test('close the turn of a contributor that is lost', () => {
    const { world, hand, job } = running({ after: 'bye' });
    hand.send({ type: 'job-failed', jobId: job, code: 'engine', message: 'no' });
    expect(world.journal.get(job)).toMatchObject({ segments: [{ tokens: 7, end: 'failed' }], open: null });
  });

  test('hold neither prompt nor answer, in text or ids', () => {
    const { world, job } = running({ change: { ...resumable, text: 'secret', stop: ['hush'] } });
    const text = JSON.stringify(world.journal.get(job), (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    for (const content of ['secret', 'hush', 'good', idsOf('secret').join(), idsOf('good').join()])
      expect(text).not.toContain(content);
  });

  test('are forgotten when the job ends, settled or not', () => {
    const { world, hand, job } = running();
    expect(world.journal.size).toBe(1);
    hand.done(job, 'good');
    expect(world.journal.size).toBe(0);

    const other = running();
    other.world.settles = false;
    other.hand.done(other.job, 'good');
    other.world.post({ type: 'settlement-failed', jobId: other.job });
    expect(other.world.heard(other.job).code).toBe('store_failed');
    expect(other.world.journal.size).toBe(0);
  });
});

describe('after a crash', () => {
  test('a plain stream costs what was written down, and its contributor is paid for it', () => {
    const { world, hand, job } = running({ after: 'bye' });
    world.crash();
    const { code, receipt } = world.heard(job);
    expect(code).toBe('coordinator_restarted');
    expect(receipt).toMatchObject({
      outcome: 'failed',
      segments: [{ contributor: hand.publicKey, tokens: 4, billedTokens: 4, end: 'lost', signature: null }],
    });
    checkReceipt(receipt);
    // 5 x 1 + 4 x 2 nanoTON.
    expect(spent(world)).toBe(13n);
    expect(world.state.balances.get(ledgerAccounts.contributor(hand.publicKey))).toBe(13n);
    expect(world.state.jobs.size).toBe(0);
    expect(world.journal.size).toBe(0);
    world.checkBooks();
  });

  test('a job that is not streamed, or of which nothing was written down, costs nothing', () => {
    const { world } = running({ change: { stream: false } });
    const young = world.submit();
    const other = world.join('bob');
    other.accept(young);
    other.say(young, 'x');
    world.crash();
    expect(spent(world)).toBe(0n);
    expect(world.state.jobs.size).toBe(0);
    world.checkBooks();
  });

  test('a job that was being settled is settled again, and once', () => {
    const { world, hand, job } = running();
    world.settles = false;
    hand.done(job, 'good');
    world.crash();
    const drafts = world.effects.filter((effect) => effect.type === 'settle');
    expect(drafts.map(({ draft }) => draft.receipt.id)).toEqual([`rcp_${job}`, `rcp_${job}`]);
    const [, last] = drafts;
    if (last !== undefined) world.settle(last);
    world.crash();
    expect(spent(world)).toBe(13n);
    world.checkBooks();
  });

  test('a resumable job goes on from what its client has, which pays each token and the prompt once', () => {
    const { world, hand, job } = running({ after: 'by', change: resumable });
    world.crash();
    expect(world.state.jobs.get(job)?.phase).toBe('interrupted');
    const other = world.join('bob');
    expect(other.last('job-offer')).toBeUndefined();
    world.resume(job);
    expect(other.last('job-offer')).toMatchObject({
      prompt: { text: 'hello' },
      prefix: { text: 'goodby', ids: idsOf('goodby') },
      maxTokens: 100,
      seedRoot: job,
    });
    other.serve(job, 'e!');
    const { text, receipt, done } = world.heard(job);
    expect(text).toBe('goodbye!');
    expect(done?.answer.usage).toEqual({ promptTokens: 5, completionTokens: 8 });
    expect(receipt?.segments).toMatchObject([
      {
        contributor: hand.publicKey,
        tokens: 6,
        promptTokens: 5,
        idsHash: hashOfIds(idsOf('goodby')),
        end: 'lost',
      },
      { contributor: other.publicKey, firstPosition: 6, tokens: 2, promptTokens: 0, end: 'stop' },
    ]);
    checkReceipt(receipt);
    expect(spent(world)).toBe(21n);
    expect(world.journal.size).toBe(0);
    world.checkBooks();
  });

  test('a resumable job goes on through any number of crashes', () => {
    const { world, job } = running({ change: resumable });
    for (const [i, letter] of [...'abc'].entries()) {
      world.crash();
      const hand = world.join(`hand${i}`);
      world.resume(job);
      hand.accept(job);
      hand.say(job, letter);
    }
    world.crash();
    world.resume(job);
    world.join('last').serve(job, 'd');
    expect(world.heard(job).text).toBe('goodabcd');
    const { receipt } = world.heard(job);
    expect(receipt?.segments.map(({ tokens }) => tokens)).toEqual([4, 1, 1, 1, 1]);
    checkReceipt(receipt);
    expect(spent(world)).toBe(21n);
  });

  test('one that goes on bills no more than our own encoding, for the part that was cut too', () => {
    // "zz" is one token for us.
    const { world, job } = running({ said: 'zzzz', after: 'z', change: resumable });
    world.crash();
    world.resume(job);
    world.join('bob').serve(job, 'zz');
    expect(world.heard(job).receipt?.segments).toMatchObject([
      { tokens: 5, billedTokens: 3 },
      { tokens: 2, billedTokens: 1 },
    ]);
  });

  test('one whose client had nothing yet goes on as a new one', () => {
    const world = new World();
    const job = world.submit(resumable);
    world.join('ann').accept(job);
    world.crash();
    world.resume(job);
    world.join('bob').serve(job, 'hi');
    expect(world.heard(job)).toMatchObject({ text: 'hi', receipt: { segments: [{ tokens: 2 }] } });
  });

  test('one that nobody had begun to serve again waits as any cut answer does', () => {
    const { world, job } = running({ change: resumable });
    world.crash();
    world.resume(job);
    world.wait(world.state.config.continuationWaitMs);
    expect(world.heard(job)).toMatchObject({ code: 'contributor_failed', receipt: { chargedNano: '13' } });
  });

  test('the same contributor may go on, one that failed at it may not', () => {
    const { world, hand, job } = running({ change: resumable });
    hand.send({ type: 'job-failed', jobId: job, code: 'engine', message: 'no' });
    world.crash();
    world.resume(job);
    const again = world.join('ann');
    expect(again.last('job-offer')).toBeUndefined();
    expect(world.join('bob').last('job-offer')?.jobId).toBe(job);

    const lost = running({ change: resumable });
    lost.world.crash();
    lost.world.resume(lost.job);
    expect(lost.world.join('ann').last('job-offer')?.jobId).toBe(lost.job);
  });

  test('one whose client does not come back is settled for what was written down', () => {
    const { world, job } = running({ after: 'bye', change: resumable });
    world.crash();
    expect(world.state.reserved.size).toBe(1);
    world.wait(world.state.config.resumeWindowMs - 1);
    expect(spent(world)).toBe(0n);
    world.wait(1);
    expect(world.heard(job)).toMatchObject({ code: 'coordinator_restarted', receipt: { chargedNano: '13' } });
    expect(world.state.reserved.size).toBe(0);
    world.resume(job);
    expect(world.heard(job).refused).toBe('job_unknown');
  });

  test.each<[string, string, string | undefined, Parameters<World['resume']>[2]]>([
    ['another flow', 'job_unknown', undefined, { flow: 'bob' }],
    ['another request', 'resume_mismatch', undefined, { requestHash: 'cd'.repeat(32) }],
    ['another prompt', 'resume_mismatch', undefined, { promptHash: 'cd'.repeat(32) }],
    ['fewer ids than were written down', 'resume_mismatch', 'goo', {}],
    ['other ids', 'resume_mismatch', 'gooD', {}],
    ['ids that are no text', 'resume_mismatch', undefined, { ids: [...idsOf('good'), 0] }],
    ['more ids than were asked for', 'resume_mismatch', 'good'.padEnd(101, 'x'), {}],
  ])('%s is refused, and the job waits on', (_, code, text, change) => {
    const { world, job } = running({ change: resumable });
    world.crash();
    world.resume(job, text, change);
    expect(world.heard(job)).toMatchObject({ refused: code, code: undefined });
    expect(world.state.jobs.get(job)?.phase).toBe('interrupted');
    world.resume(job);
    expect(world.state.jobs.get(job)?.phase).toBe('queued');
    world.checkBooks();
  });

  test('ids that nobody known delivered are refused', () => {
    const { world, hand, job } = running({ change: resumable });
    hand.send({ type: 'job-failed', jobId: job, code: 'engine', message: 'no' });
    world.crash();
    world.resume(job, 'good and more');
    expect(world.heard(job).refused).toBe('resume_mismatch');
  });

  test('a job that is not interrupted is not resumed', () => {
    const { world, hand, job } = running({ change: resumable });
    world.resume(job);
    expect(world.heard(job).refused).toBe('job_unknown');
    hand.done(job, 'good');
    expect(world.heard(job).text).toBe('good');
  });

  test('a job whose model is gone is settled', () => {
    const { world, job } = running({ change: resumable });
    const written = world.journal.get(job);
    if (written !== undefined)
      world.journal.set(job, { ...written, request: { ...written.request, model: 'gone' } });
    world.crash();
    expect(world.heard(job)).toMatchObject({ code: 'coordinator_restarted', receipt: { chargedNano: '13' } });
  });
});

describe('when the coordinator stops', () => {
  test('resumable jobs are left to the journal, and go on after it', () => {
    const { world, hand, job } = running({ after: 'by', change: resumable });
    const plain = world.submit({ account: 'bob' });
    world.post({ type: 'drain' });
    for (const jobId of [job, plain]) world.post({ type: 'job-abandoned', jobId, code: 'shutting_down' });
    expect(world.heard(job)).toMatchObject({ code: 'coordinator_restarted', receipt: null });
    expect(world.heard(plain).code).toBe('shutting_down');
    expect(hand.frames()).toContainEqual(expect.objectContaining({ type: 'job-cancel', jobId: job }));
    expect(world.state.jobs.size).toBe(0);
    expect(world.journal.get(job)?.open).toMatchObject({ tokens: 6 });
    world.checkBooks();
    world.crash();
    world.resume(job);
    world.join('bob').serve(job, 'e');
    expect(world.heard(job).done?.answer.usage.completionTokens).toBe(7);
  });

  test('jobs whose clients did not come back yet wait for the next start', () => {
    const { world, job } = running({ change: resumable });
    world.crash();
    world.post({ type: 'drain' });
    expect(world.state.jobs.size).toBe(0);
    expect(world.journal.size).toBe(1);
    world.resume(job);
    expect(world.heard(job).refused).toBe('job_unknown');
    world.checkBooks();
    world.crash();
    world.resume(job);
    expect(world.state.jobs.get(job)?.phase).toBe('queued');
  });
});
